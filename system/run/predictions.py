"""The rows of a finished inference, read back: one record per image, and the maps of a few."""

from collections.abc import Collection, Iterator
from dataclasses import dataclass

import numpy as np
import pyarrow.compute as pc
from numpy.typing import NDArray

from system.files.parquet import read_table
from system.maps import decode_map
from system.records import Candidate, decode_candidates
from system.run.results import InferResult
from system.run.stage import Stage

_COLUMNS = [
    "image_key",
    "image_id",
    "study_id",
    "side",
    "view",
    "score",
    "p_image",
    "entropy",
    "mask_area_px",
    "candidates",
    "error",
]


@dataclass(frozen=True, slots=True)
class Prediction:
    """The result of inference for one image; scores are NaN where it could not be read."""

    image_key: int
    image_id: str
    study_id: str
    side: str
    view: str
    score: float  # highest probability of a candidate, 0 to 1; 0 where there is none
    p_image: float  # classification branch, 0 to 1; NaN where it was never trained
    entropy: float  # of the map, mean bits a cell, 0 to 1
    has_mask: bool
    candidates: tuple[Candidate, ...]  # highest score first
    error: str  # why it could not be read; "" = it could


def read_predictions(stage: Stage[InferResult], keys: Collection[int] | None = None) -> Iterator[Prediction]:
    """Give the images of a finished inference, file by file; only those with these keys where any are given.

    Raises NotFinished.
    """
    for path in stage.paths():
        table = read_table(path, columns=_COLUMNS)
        wanted = table if keys is None else table.filter(pc.field("image_key").isin(list(keys)))
        for row in wanted.to_pylist():
            yield Prediction(
                image_key=row["image_key"],
                image_id=row["image_id"],
                study_id=row["study_id"],
                side=row["side"],
                view=row["view"],
                score=_number(row["score"]),
                p_image=_number(row["p_image"]),
                entropy=_number(row["entropy"]),
                has_mask=bool(row["mask_area_px"]),
                candidates=decode_candidates(row["candidates"]),
                error=row["error"] or "",
            )


def read_maps(stage: Stage[InferResult], keys: Collection[int]) -> dict[int, NDArray[np.float32]]:
    """Return the maps of those images of a finished inference that have one kept: [h, w] float32, 0 to 1."""
    found: dict[int, NDArray[np.float32]] = {}
    for path in stage.paths():
        table = read_table(path, columns=["image_key", "map_png"])
        for row in table.filter(pc.field("image_key").isin(list(keys)) & pc.field("map_png").is_valid()).to_pylist():
            found[row["image_key"]] = decode_map(row["map_png"])
    return found


def _number(value: float | None) -> float:
    return float("nan") if value is None else value
