"""One image and its candidates, in the pixels of its source."""

from dataclasses import dataclass

import numpy as np

from system.imaging import Geometry
from system.records import Candidate


@dataclass(frozen=True, slots=True)
class SourceCandidate:
    """One candidate, in pixels of the source image."""

    box_px: tuple[float, float, float, float]  # x0, y0, x1, y1 of the source, half open, from its top left corner
    centroid_px: tuple[float, float]  # x, y; the centre of the first pixel is 0.5, 0.5, as in the box
    area_px: float  # source pixels
    score: float  # highest probability inside, 0 to 1


@dataclass(frozen=True, slots=True)
class ImageCandidates:
    """One source image and the candidates in it."""

    image_id: int  # from 1, in the order of the files
    file: str  # path relative to the user's folder
    rows: int
    cols: int
    candidates: tuple[SourceCandidate, ...]  # highest score first


def to_source(candidate: Candidate, geometry: Geometry) -> SourceCandidate:
    """Return a candidate of the canonical view in the source frame.

    A box is cut at the edges of the source image: the canonical view may have padding beyond them.
    """
    x0, y0, x1, y1 = candidate.box_px
    corners = geometry.to_source(np.array([[x0, y0], [x1, y1]]) - 0.5) + 0.5  # a box's edges lie between pixel centres
    frame = (geometry.source_cols, geometry.source_rows)
    (left, top), (right, bottom) = (np.clip(edge(corners, axis=0), 0, frame).tolist() for edge in (np.min, np.max))
    x, y = np.clip(geometry.to_source(np.array([candidate.centroid_px]))[0] + 0.5, 0, frame).tolist()
    return SourceCandidate((left, top, right, bottom), (x, y), candidate.area_px / geometry.scale**2, candidate.score)
