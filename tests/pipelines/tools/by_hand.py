"""Parts of a run put together by hand: an archive's tables and what inference came to, without any network."""

from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from system.archive import Archive
from system.archive.tables import SCHEMAS
from system.metrics import FrocConfig
from system.metrics.summary import FrocSummary
from system.mining import QuadrantCounts
from system.records import Quadrant
from system.run.results import EvaluationCounts, FrocResult, InferResult, Pool, PoolsResult, TrainResult
from system.run.stage import Stage, Written
from system.schemas import OUTLINED, POOL, PREDICTIONS
from tests.epoch_rows import epoch_row

Row = dict[str, Any]
NAN = float("nan")


def fill(archive: Archive, **tables: Sequence[Row]) -> None:
    """Write rows into an archive's tables; columns that a row leaves out are null."""
    for name, rows in tables.items():
        archive.upsert(name, pa.Table.from_pylist(list(rows), schema=SCHEMAS[name]))


def infer_by_hand(stage: Stage[InferResult], rows: Sequence[Row], *, num_files: int = 1) -> None:
    """Finish an inference with these rows of predictions; columns that a row leaves out are null."""

    def write(attempt: Path) -> Written[InferResult]:
        files = [attempt / f"part_{number:06d}.parquet" for number in range(num_files)]
        for number, file in enumerate(files):
            pq.write_table(pa.Table.from_pylist(list(rows[number::num_files]), schema=PREDICTIONS), file)
        return Written(infer_result(rows), files=files)

    stage.once(write)


def mine_by_hand(
    stage: Stage[PoolsResult], pools: Mapping[float, Sequence[Row]], *, outlined: Sequence[Row] = ()
) -> None:
    """Finish the pools of a first round; columns that a row leaves out are null.

    pools: p0 -> rows of POOL, step 1 first
    outlined: rows of OUTLINED
    """

    def write(attempt: Path) -> Written[PoolsResult]:
        records = [_pool(attempt, step, p0, rows) for step, (p0, rows) in enumerate(pools.items(), start=1)]
        pq.write_table(pa.Table.from_pylist(list(outlined), schema=OUTLINED), attempt / "outlined.parquet")
        files = [attempt / name for name in ("outlined.parquet", *(record.file for record in records))]
        return Written(PoolsResult(1, 0, 0, 0, {}, tuple(records), "outlined.parquet"), files=files)

    stage.once(write)


def _pool(attempt: Path, step: int, p0: float, rows: Sequence[Row]) -> Pool:
    file = f"pool_step_{step}.arrow"
    with pa.OSFile(str(attempt / file), "wb") as sink, pa.ipc.new_file(sink, POOL) as writer:
        writer.write_table(pa.Table.from_pylist(list(rows), schema=POOL))
    count = Counter(Quadrant(row["quadrant"]) for row in rows)
    counts = QuadrantCounts(count[Quadrant.TP], count[Quadrant.FP], count[Quadrant.FN], tn=0, unused=0)
    return Pool(step, p0, file, counts, moved={}, reasons={}, purity=())


def infer_result(rows: Sequence[Row]) -> InferResult:
    """Return the record of an inference that took no time."""
    return InferResult(
        num_images=len(rows),
        num_errors=sum(row.get("error") is not None for row in rows),
        num_masked=sum(bool(row.get("mask_area_px")) for row in rows),
        num_crf_warnings=0,
        duration_s=1.0,
        start_s=0.0,
        images_per_s=1.0,
        wait_share=0.0,
        num_predictors=1,
        seconds={},
        pixel_mib=0.0,
        written_mib=0.0,
        num_earlier_shards=0,
    )


def train_result() -> TrainResult:
    """Return the record of a training of one step."""
    return TrainResult(num_epochs=1, kept_epoch=1, num_steps=1, last_epoch=epoch_row(num_steps=1))


def froc_result(rules: FrocConfig) -> FrocResult:
    """Return the record of an evaluation without any image, by these rules."""
    nothing = FrocSummary({}, {}, NAN, (NAN, NAN), 0, 0.0, ())
    return FrocResult(
        split="test",
        rules=rules,
        mask_threshold=0.5,
        sweep=nothing,
        rethreshold=nothing,
        counts=EvaluationCounts(0, 0, 0, 0, 0, 0, 0, 0),
        corloc=NAN,
        dice=NAN,
        image_level={},
    )
