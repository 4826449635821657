"""Read and write Parquet files one by one."""

from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from system.errors import UserError
from system.faults import storage
from system.files.atomic import PLAIN, replacing

REMEDY = "restore it, or remove the stage's manifest.json to do the stage again"


def read_table(path: Path, *, columns: list[str] | None = None) -> pa.Table:
    """Return one Parquet file and nothing of its path: a run's folder may be called a=b, which is no partition.

    columns: names; None = all
    Raises UserError for a file that is missing or damaged, MachineFault for what the storage does.
    """
    with whole(path):
        return pq.ParquetFile(path).read(columns=columns)


@contextmanager
def whole(path: Path) -> Generator[None]:
    """Turn Arrow's error for a missing or damaged file of a run into a UserError that names the file.

    Raises MachineFault for what the storage does.
    """
    try:
        with storage(path.parent):
            yield
    except FileNotFoundError:
        raise UserError(f"{path.name} is missing in {path.parent.name}: {REMEDY}") from None
    except (pa.ArrowInvalid, pa.ArrowKeyError, EOFError) as error:
        raise UserError(f"{path.name} is not what was written ({type(error).__name__}): {REMEDY}") from error


def write_table(table: pa.Table, path: Path, *, mode: int = PLAIN) -> None:
    """Write a whole Parquet file, over one that is there. mode: permission bits."""
    with replacing(path, mode=mode) as partial:
        pq.write_table(table, partial)
