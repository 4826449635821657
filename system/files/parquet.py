"""Read Parquet files one by one."""

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq


def read_table(path: Path, *, columns: list[str] | None = None) -> pa.Table:
    """Return one Parquet file and nothing of its path: a run's folder may be called a=b, which is no partition.

    columns: names; None = all
    """
    return pq.ParquetFile(path).read(columns=columns)
