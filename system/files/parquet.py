"""Read and write Parquet files one by one."""

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from system.faults import storage
from system.files.atomic import PLAIN, replacing


def read_table(path: Path, *, columns: list[str] | None = None) -> pa.Table:
    """Return one Parquet file and nothing of its path: a run's folder may be called a=b, which is no partition.

    columns: names; None = all
    Raises MachineFault for what the storage does.
    """
    with storage(path.parent):
        return pq.ParquetFile(path).read(columns=columns)


def write_table(table: pa.Table, path: Path, *, mode: int = PLAIN) -> None:
    """Write a whole Parquet file, over one that is there. mode: permission bits."""
    with replacing(path, mode=mode) as partial:
        pq.write_table(table, partial)
