"""What the weak images of an archive stand for by now, as a model ahead of its round sees them."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray
from pydantic import TypeAdapter

from system.continuous.drift import stability_index
from system.files.json_in import read_record
from system.files.json_out import Measured, write_json
from system.files.parquet import read_table
from system.mining import QuadrantCounts, Shard, read_pool
from system.mining.columns_in import read_columns
from system.mining.label_updates import LabelUpdate
from system.mining.pools import POOLED, Pools
from system.records import P0
from system.run.ahead import Ahead
from system.run.maps_kept import Kept

_FILE = "pools.json"


@dataclass(frozen=True)
class CaughtUp:
    """The state after everything that had come was labelled, inferred and sorted."""

    system: str  # whose model looked: folder in the run
    model: str  # its name
    archive_versions: dict[str, int]  # that were read
    num_rounds: int  # that the run had done
    report_models: str  # that gave the labels
    num_labelled: int  # reports that were labelled for it
    num_inferred: int  # images that were looked at for it
    p0: P0  # at which the quadrants are taken
    counts: QuadrantCounts
    num_new_samples: int  # images that would train, and trained neither the model nor the last candidate
    map_drift: Measured  # population stability index of the maps' peaks; NaN = too few


def write(found: CaughtUp, *, run: Path) -> None:
    """Keep it beside the model's inferences ahead."""
    write_json(Ahead(run, found.model).folder / _FILE, found)


def read(run: Path, model: str) -> CaughtUp | None:
    """Return what was kept for a model; None where nothing was. Raises UserError for a damaged file."""
    path = Ahead(run, model).folder / _FILE
    return read_record(path, TypeAdapter(CaughtUp), remedy="remove it: it is written again") if path.exists() else None


def sort(
    kept: Sequence[Kept],
    *,
    labels: pa.Table,
    images: pa.Table,
    verdicts: LabelUpdate,
    p0: P0,
    disputed_train: bool,
) -> tuple[QuadrantCounts, NDArray[np.int64]]:
    """Return how many images stand in each quadrant, and the image_key of those that would train.

    kept: the rows of predictions that stand for the weak images
    labels, images: rows of the archive's tables
    disputed_train: whether FP that the map is surer of than of half of TP train (rounds.disputed)
    """
    pools = Pools()
    for number, rows in enumerate(kept):
        columns, _ = read_columns(rows.file, labels=labels, images=images, keys=rows.keys)
        pools.accept(Shard(1, number, 1, rows.file.name, columns))
    if not pools.rounds():
        return QuadrantCounts(0, 0, 0, 0, 0), np.empty(0, np.int64)
    pools.update_labels(verdicts)
    parts = [(columns, columns.quadrants(p0=p0)) for _, columns in pools.parts()]
    marked = pools.disputed(parts)
    pooled = [int(each) for each in POOLED]
    trains = [
        columns.keys[np.isin(quadrant, pooled) & (disputed_train | ~disputed)]
        for (columns, quadrant), disputed in zip(parts, marked, strict=True)
    ]
    return pools.counts(p0=p0), np.concatenate(trains)


def trained_on(pool: Path, *, disputed_train: bool) -> NDArray[np.int64]:
    """Return the image_key of those that a pool's file gave to train. disputed_train: as of `sort`."""
    rows = read_pool(pool)
    keys, disputed = rows["image_key"].to_numpy(), np.asarray(rows["disputed"], dtype=bool)
    return keys if disputed_train else keys[~disputed]


def map_drift(reference: Sequence[Path], now: Sequence[Path]) -> float:
    """Return the drift of the maps' peaks between two sets of files of one model; NaN where either is too small."""
    return stability_index(_peaks(reference), _peaks(now))


def _peaks(files: Sequence[Path]) -> NDArray[np.float64]:
    parts = [read_table(file, columns=["peak"])["peak"].drop_null().to_numpy() for file in files]
    return np.concatenate([np.empty(0), *parts])
