"""One image and its candidates, in the pixels of its source."""

from dataclasses import dataclass

import numpy as np

from system.imaging import Geometry
from system.records import Candidate


@dataclass(frozen=True, slots=True)
class Finding:
    """One candidate."""

    box_px: tuple[float, float, float, float]  # x0, y0, x1, y1 of the source, half open, from its top left corner
    centroid_px: tuple[float, float]  # x, y; the centre of the first pixel is 0.5, 0.5, as in the box
    area_px: float  # source pixels
    score: float  # highest probability inside, 0 to 1


@dataclass(frozen=True, slots=True)
class ImageFindings:
    """One source image and what was found in it."""

    image_id: int  # from 1, in the order of the files
    file: str  # as the user named it, relative to the folder
    rows: int
    cols: int
    findings: tuple[Finding, ...]  # highest score first


def to_source(candidate: Candidate, geometry: Geometry) -> Finding:
    """Return a candidate of the canonical view in the source frame; what padding adds to a box is cut off."""
    x0, y0, x1, y1 = candidate.box_px
    corners = geometry.to_source(np.array([[x0, y0], [x1, y1]]) - 0.5) + 0.5  # a box's edges lie between pixel centres
    frame = (geometry.source_cols, geometry.source_rows)
    (left, top), (right, bottom) = (np.clip(edge(corners, axis=0), 0, frame).tolist() for edge in (np.min, np.max))
    x, y = np.clip(geometry.to_source(np.array([candidate.centroid_px]))[0] + 0.5, 0, frame).tolist()
    return Finding((left, top, right, bottom), (x, y), candidate.area_px / geometry.scale**2, candidate.score)
