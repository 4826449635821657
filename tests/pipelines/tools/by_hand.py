"""Parts of a run put together by hand: an archive's tables and what inference came to, without any network."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from system.archive import Archive
from system.archive.tables import SCHEMAS
from system.run.results import InferResult
from system.run.stage import Stage, Written
from system.schemas import PREDICTIONS

Row = dict[str, Any]


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
