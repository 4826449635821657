"""What predict writes: tables, COCO JSON and pictures, in the pixels of the source files."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pyarrow.parquet as pq
import ray

from system.archive import Archive
from system.exchange import Finding, ImageFindings, as_coco, to_source, write_csv
from system.figures import png_of, with_findings
from system.imaging import Geometry, decode_png
from system.records import Candidate
from system.runs import Stage, write_atomically

CANDIDATES, IMAGES, COCO = "candidates.csv", "images.csv", "candidates.coco.json"
IMAGE_COLUMNS = ("image_id", "file", "side", "view", "partner_id", "score", "p_image", "num_candidates", "overlay", "error")
CANDIDATE_COLUMNS = ("image_id", "file", "score", "x0", "y0", "x1", "y1", "centroid_x", "centroid_y", "area_px")

Overlays = Literal["found", "all", "none"]
Rows = dict[str, dict[str, Any]]
"""Rows of tables.PREDICTIONS by image_id."""


@dataclass(frozen=True)
class Detector:
    """A checkpoint and how its maps are read."""

    model: Path
    candidate_floor: float  # probability at which a candidate begins
    min_candidate_px: int  # canonical px
    reason: str  # where the two come from


@dataclass(frozen=True)
class SourceView:
    """One file, and what is known of it."""

    number: int  # from 1, in the order of the layout
    file: str  # as the user named it
    key: str  # image_id in the working archive; "" = it was kept out
    side: str = ""
    view: str = ""
    geometry: str = ""  # JSON
    pixel_sha: str = ""
    error: str = ""

    @property
    def overlay(self) -> str:
        """The name of its picture."""
        return f"overlays/{self.number:06d}.png"


def candidates_of(view: SourceView, rows: Rows) -> list[Candidate]:
    """Return a view's candidates in the canonical frame, highest score first; none where it was not looked at."""
    found = json.loads(rows[view.key]["candidates"] or "[]") if view.key else []
    return [Candidate(tuple(row["box_px"]), row["score"], row["area_px"], tuple(row["centroid_px"])) for row in found]


def draw(stage: Stage, views: list[SourceView], rows: Rows, *, out: Path, archive: Archive, overlays: Overlays) -> None:
    """Write the pictures, one Ray task per file of predictions."""
    if overlays == "none":
        return
    (out / "overlays").mkdir(exist_ok=True)
    wanted = {view.key: view for view in views if view.key and not view.error and (overlays == "all" or candidates_of(view, rows))}
    task = ray.remote(draw_part)
    ray.get([task.remote(path.resolve(), wanted, out, archive) for path in stage.paths()])


def draw_part(path: Path, wanted: dict[str, SourceView], out: Path, archive: Archive) -> None:
    """Draw the wanted images of one file of predictions: map and boxes over the view, turned as in the file, canonical size."""
    for row in pq.ParquetFile(path).read(["image_id", "candidates", "map_png"]).to_pylist():
        if view := wanted.get(row["image_id"]):
            coarse = decode_png(row["map_png"]).astype(np.float32) / np.iinfo(np.uint16).max
            boxes = [(tuple(found["box_px"]), found["score"]) for found in json.loads(row["candidates"])]
            mirrored = Geometry.from_json(view.geometry).mirrored
            picture = with_findings(archive.pixels(view.pixel_sha), coarse, boxes, mirrored=mirrored)
            (out / view.overlay).write_bytes(png_of(picture))


def write(
    out: Path,
    views: list[SourceView],
    rows: Rows,
    *,
    partners: dict[str, str],
    detector: Detector,
    overlays: Overlays,
) -> None:
    """Write the tables; candidates.csv last, as it says that all is there."""
    numbers = {view.key: view.number for view in views if view.key}
    found = {view.number: _findings(view, rows) for view in views if view.key}
    listed = [_image_row(view, rows, partner=numbers.get(partners.get(view.key, ""), ""), overlays=overlays) for view in views]
    write_csv(out / IMAGES, IMAGE_COLUMNS, listed)
    about = f"mammoloop, candidates at probability {detector.candidate_floor:.3g} and above ({detector.reason}); no diagnosis"
    write_atomically(out / COCO, json.dumps(as_coco(list(found.values()), description=about), ensure_ascii=False))
    candidates = [_candidate_row(image, finding) for image in found.values() for finding in image.findings]
    write_csv(out / "part.csv", CANDIDATE_COLUMNS, candidates)
    (out / "part.csv").replace(out / CANDIDATES)


def _findings(view: SourceView, rows: Rows) -> ImageFindings:
    geometry = Geometry.from_json(view.geometry)
    found = tuple(to_source(candidate, geometry) for candidate in candidates_of(view, rows))
    return ImageFindings(view.number, view.file, geometry.source_rows, geometry.source_cols, found)


def _image_row(view: SourceView, rows: Rows, *, partner: int | str, overlays: Overlays) -> list[Any]:
    row = rows.get(view.key, {})
    number = len(candidates_of(view, rows)) if not view.error else ""
    drawn = not view.error and (overlays == "all" or (overlays == "found" and number))
    score, p_image = (_rounded(row.get(name)) for name in ("score", "p_image"))
    return [view.number, view.file, view.side, view.view, partner, score, p_image, number, view.overlay if drawn else "", view.error]


def _candidate_row(image: ImageFindings, finding: Finding) -> list[Any]:
    place = [round(value, 2) for value in (*finding.box_px, *finding.centroid_px, finding.area_px)]
    return [image.image_id, image.file, _rounded(finding.score), *place]


def _rounded(probability: float | None) -> float | str:
    """Return it as it is written; nothing for an image that was not looked at, or a branch that was never trained."""
    return "" if probability is None or np.isnan(probability) else round(probability, 6)
