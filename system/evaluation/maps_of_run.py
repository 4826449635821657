"""The maps of held-out images with their truth, one image at a time."""

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from numpy.typing import NDArray

from system.archive import Archive
from system.errors import UserError
from system.files.parquet import read_table, whole
from system.maps import decode_map, upsample
from system.records import Split
from system.run.results import InferResult
from system.run.stage import Stage

_PREDICTED = ["image_id", "peak", "p_image", "map_png", "error"]
_KNOWN = ["image_id", "patient_id", "view", "density", "source", "spacing_mm", "rows", "cols", "split", "pixel_sha"]
_ROWS_AT_ONCE = 64  # maps held in memory

_Columns = dict[str, Any]  # one row of a table


@dataclass(frozen=True, slots=True)
class HeldOutImage:
    """One image of a held-out split: its map, its truth, and what is known of it."""

    image_id: str
    patient_id: str
    view: str  # as in the archive, like the next two
    density: str
    source: str
    spacing_mm: float  # of a canonical pixel, 0 where it is not known
    probability: NDArray[np.float32]  # [H, W], 0 to 1; zeros for an image that could not be read
    truth: NDArray[np.bool_]  # [H, W]
    peak: float  # highest probability of the map; 0 for an image that could not be read
    # Classification branch, 0 to 1; 0 for an image that could not be read, NaN where it was never trained.
    p_image: float
    error: bool  # it could not be read
    pixel_sha: str  # of its pixels in the archive


def held_out_images(
    predictions: Stage[InferResult], *, archive: Archive, split: Split, only: Collection[str] | None = None
) -> Iterator[HeldOutImage]:
    """Give the images of a split, in the order of the predictions.

    predictions: finished, every map kept; images of other splits are left out
    archive: pinned to the run's versions
    only: the image_id of those to give; None = all

    Raises UserError for a predicted image that the archive does not have.
    """
    images = {row["image_id"]: row for row in archive.table("images", columns=_KNOWN).to_pylist()}
    masks = archive.table("masks", columns=["image_id", "mask_sha"])
    sha_of = dict(zip(masks["image_id"].to_pylist(), masks["mask_sha"].to_pylist(), strict=True))
    for path in parquet_files(predictions):
        with whole(path), pq.ParquetFile(path) as file:
            for batch in file.iter_batches(batch_size=_ROWS_AT_ONCE, columns=_PREDICTED):
                for row in batch.to_pylist():
                    image = images.get(row["image_id"])
                    if image is None:
                        raise UserError(
                            "a predicted image is not in the archive's pinned version: "
                            "infer and evaluate under the same versions"
                        )
                    if image["split"] == split and (only is None or row["image_id"] in only):
                        yield _held_out(row, image, archive=archive, mask_sha=sha_of.get(row["image_id"], ""))


def peaks_of(predictions: Stage[InferResult], *, archive: Archive, split: Split) -> NDArray[np.float32]:
    """Return the highest probability of each map of a split that could be read: [N], 0 to 1."""
    images = archive.table("images", columns=["image_id", "split"])
    members = images.filter(pc.field("split") == str(split))["image_id"].combine_chunks()
    columns = [read_table(path, columns=["image_id", "peak"]) for path in parquet_files(predictions)]
    return pa.concat_tables(columns).filter(pc.field("image_id").isin(members))["peak"].drop_null().to_numpy()


def parquet_files(stage: Stage[InferResult]) -> list[Path]:
    """Return the files of predictions of a finished stage."""
    return [path for path in stage.paths() if path.suffix == ".parquet"]


def _held_out(row: _Columns, image: _Columns, *, archive: Archive, mask_sha: str) -> HeldOutImage:
    shape, failed = (image["rows"], image["cols"]), row["error"] is not None
    truth = archive.pixels(mask_sha) > 0 if mask_sha else np.zeros(shape, dtype=bool)
    return HeldOutImage(
        **{name: image[name] for name in ("image_id", "patient_id", "view", "density", "source")},
        spacing_mm=image["spacing_mm"] or 0.0,
        probability=_probability(row["map_png"], shape=shape, failed=failed),
        truth=truth,
        peak=_score(row["peak"], failed=failed),
        p_image=_score(row["p_image"], failed=failed),
        error=failed,
        pixel_sha=image["pixel_sha"] or "",
    )


def _score(value: float | None, *, failed: bool) -> float:
    """Return a score of an image: 0 for one that could not be read, NaN where its branch was never trained."""
    if failed:
        return 0.0
    return float("nan") if value is None else value


def _probability(png: bytes | None, *, shape: tuple[int, int], failed: bool) -> NDArray[np.float32]:
    """Return the map in the canonical view: [H, W] float32, 0 to 1; zeros for an image that could not be read."""
    if failed:
        return np.zeros(shape, dtype=np.float32)
    if png is None:
        raise ValueError("a prediction carries no map: infer what is to be evaluated with every map kept")
    return upsample(decode_map(png), shape=shape)
