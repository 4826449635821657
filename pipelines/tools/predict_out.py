"""What predict writes: tables, COCO JSON and pictures, in the pixels of the source files."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
import ray

from system.archive import Archive
from system.exchange import ImageCandidates, SourceCandidate, as_coco, to_source
from system.figures.overlays import png_of, with_candidates
from system.files.atomic import PRIVATE, write_bytes, write_text
from system.files.csv_out import write_csv
from system.files.parquet import read_table
from system.imaging import Geometry
from system.maps import decode_map
from system.metrics import FrocConfig
from system.records import decode_candidates
from system.refine import FlipAverage
from system.run.predictions import Prediction
from system.run.results import InferResult
from system.run.stage import Stage

CANDIDATES, IMAGES, COCO = "candidates.csv", "images.csv", "candidates.coco.json"
IMAGE_COLUMNS = (
    *("image_id", "file", "side", "view", "partner_id", "score", "p_image", "num_candidates", "overlay", "error"),
)
CANDIDATE_COLUMNS = ("image_id", "file", "score", "x0", "y0", "x1", "y1", "centroid_x", "centroid_y", "area_px")

Overlays = Literal["found", "all", "none"]
Cell = str | int | float


@dataclass(frozen=True)
class Detector:
    """A checkpoint and how its maps are read."""

    model: Path
    rules: FrocConfig  # what a candidate is
    reason: str  # where these come from
    flip_average: FlipAverage  # as the run's maps were averaged

    def in_words(self) -> str:
        """Return what a candidate is."""
        if self.rules.candidates == "own_peak":
            return f"each candidate ends at half of its own peak, {self.reason}"
        return f"candidates begin at probability {self.rules.candidate_threshold:.3g}, {self.reason}"


@dataclass(frozen=True)
class SourceView:
    """One file, and what is known of it."""

    number: int  # from 1, in the order of the layout
    file: str  # as the user named it, in characters that can be written and shown
    key: str  # image_id in the working archive; "" = it was kept out
    side: str = ""
    view: str = ""
    geometry: str = ""  # JSON
    pixel_sha: str = ""
    error: str = ""
    study_id: str = ""  # in the working archive; "" where the file could not be read and no list names its study
    study: str = ""  # as a list of the source names it; "" = no list does
    path: Path = Path()

    @property
    def overlay(self) -> str:
        """The name of its picture."""
        return f"overlays/{self.number:06d}.png"


@dataclass(frozen=True)
class Predicted:
    """The files of a folder and what the detector found in them."""

    views: Sequence[SourceView]
    predictions: Mapping[str, Prediction]  # by SourceView.key
    partners: Mapping[str, int]  # by SourceView.key: number of the other breast that it was looked at beside

    def of(self, view: SourceView) -> Prediction | None:
        """Return a view's prediction, None where it was not looked at."""
        return self.predictions.get(view.key)

    def num_candidates(self, view: SourceView) -> int:
        """Return how many candidates a view has."""
        found = self.of(view)
        return len(found.candidates) if found else 0


def draw(stage: Stage[InferResult], predicted: Predicted, *, out: Path, archive: Archive, overlays: Overlays) -> None:
    """Write the pictures, one Ray task per file of predictions."""
    if overlays == "none":
        return
    (out / "overlays").mkdir(exist_ok=True)
    wanted = {
        view.key: view
        for view in predicted.views
        if view.key and not view.error and (overlays == "all" or predicted.num_candidates(view))
    }
    task = ray.remote(draw_part)
    ray.get([task.remote(path.resolve(), wanted, out, archive) for path in stage.paths()])


def draw_part(path: Path, wanted: dict[str, SourceView], out: Path, archive: Archive) -> None:
    """Draw the wanted images of one file of predictions: map and boxes over the upright view, not mirrored."""
    for row in read_table(path, columns=["image_id", "candidates", "map_png"]).to_pylist():
        if view := wanted.get(row["image_id"]):
            picture = with_candidates(
                archive.pixels(view.pixel_sha),
                decode_map(row["map_png"]),
                decode_candidates(row["candidates"]),
                mirrored=Geometry.from_json(view.geometry).mirrored,
            )
            write_bytes(out / view.overlay, png_of(picture))


def write(out: Path, predicted: Predicted, *, detector: Detector, overlays: Overlays) -> None:
    """Write the tables; candidates.csv last, which shows that all is there. They name files, so only for the owner."""
    found = [_in_source(view, predicted) for view in predicted.views if view.key]
    images = [_image_row(view, predicted, overlays=overlays) for view in predicted.views]
    write_csv(out / IMAGES, IMAGE_COLUMNS, images, mode=PRIVATE)
    about = f"mammoloop, {detector.in_words()}; no diagnosis"
    write_text(out / COCO, json.dumps(as_coco(found, description=about), ensure_ascii=False), mode=PRIVATE)
    rows = [_candidate_row(image, candidate) for image in found for candidate in image.candidates]
    write_csv(out / CANDIDATES, CANDIDATE_COLUMNS, rows, mode=PRIVATE)


def _in_source(view: SourceView, predicted: Predicted) -> ImageCandidates:
    geometry, found = Geometry.from_json(view.geometry), predicted.of(view)
    candidates = tuple(to_source(candidate, geometry) for candidate in found.candidates) if found else ()
    return ImageCandidates(view.number, view.file, geometry.source_rows, geometry.source_cols, candidates)


def _image_row(view: SourceView, predicted: Predicted, *, overlays: Overlays) -> list[Cell]:
    found, number = predicted.of(view), predicted.num_candidates(view)
    drawn = not view.error and (overlays == "all" or (overlays == "found" and number > 0))
    return [
        view.number,
        view.file,
        view.side,
        view.view,
        predicted.partners.get(view.key, ""),
        _rounded(found.score) if found else "",
        _rounded(found.p_image) if found else "",
        "" if view.error else number,
        view.overlay if drawn else "",
        view.error,
    ]


def _candidate_row(image: ImageCandidates, candidate: SourceCandidate) -> list[Cell]:
    place = [round(value, 2) for value in (*candidate.box_px, *candidate.centroid_px, candidate.area_px)]
    return [image.image_id, image.file, _rounded(candidate.score), *place]


def _rounded(probability: float) -> Cell:
    """Return it as it is written; nothing for an image that could not be read, or a branch that was never trained."""
    return "" if np.isnan(probability) else round(probability, 6)
