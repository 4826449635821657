"""Read Parquet files one by one."""

from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from system.errors import UserError

REMEDY = "restore it, or remove the stage's manifest.json to do the stage again"


def read_table(path: Path, *, columns: list[str] | None = None) -> pa.Table:
    """Return one Parquet file and nothing of its path: a run's folder may be called a=b, which is no partition.

    columns: names; None = all
    Raises UserError for a file that is missing or damaged.
    """
    with whole(path):
        return pq.ParquetFile(path).read(columns=columns)


@contextmanager
def whole(path: Path) -> Generator[None]:
    """Turn Arrow's error for a missing or damaged file of a run into a UserError that names the file."""
    try:
        yield
    except FileNotFoundError:
        raise UserError(f"{path.name} is missing in {path.parent.name}: {REMEDY}") from None
    except (pa.ArrowInvalid, pa.ArrowKeyError, EOFError) as error:
        raise UserError(f"{path.name} is not what was written ({type(error).__name__}): {REMEDY}") from error
