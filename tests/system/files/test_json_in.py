"""Records and tables of a run that were damaged."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from pydantic import TypeAdapter

from system.errors import UserError
from system.files.json_in import parse, read_record
from system.files.parquet import read_table
from tests.damage import WAYS


@dataclass(frozen=True)
class Measured:
    """A record."""

    name: str
    rows: list[int]


@pytest.mark.parametrize("way", WAYS.values(), ids=WAYS.keys())
def test_a_damaged_record_is_named_with_what_to_do(tmp_path: Path, way: Callable[[Path], object]) -> None:
    path = tmp_path / "froc.json"
    path.write_text('{"name": "secret", "rows": [1, 2, 3]}')
    assert read_record(path, TypeAdapter(Measured), remedy="restore it") == Measured("secret", [1, 2, 3])
    way(path)
    with pytest.raises(
        UserError, match=r"froc\.json (of .* is not what was written|is missing in) .*: restore it$"
    ) as no:
        read_record(path, TypeAdapter(Measured), remedy="restore it")
    assert "secret" not in str(no.value)


def test_a_wrong_value_is_named_by_its_place_and_not_quoted(tmp_path: Path) -> None:
    path = tmp_path / "froc.json"
    path.write_text('{"name": "a", "rows": [1, "secret"]}')
    with pytest.raises(UserError, match=r"\(rows\.1: Input should be a valid integer.*\)") as refused:
        read_record(path, TypeAdapter(Measured), remedy="restore it")
    assert "secret" not in str(refused.value)


def test_brackets_without_end_are_no_json() -> None:
    with pytest.raises(ValueError, match="brackets without end"):
        parse("[" * 100_000)


@pytest.mark.parametrize("way", WAYS.values(), ids=WAYS.keys())
def test_a_damaged_table_is_named_with_what_to_do(tmp_path: Path, way: Callable[[Path], object]) -> None:
    path = tmp_path / "part_000000.parquet"
    pq.write_table(pa.table({"a": list(range(1000))}), path)
    way(path)
    with pytest.raises(UserError, match=r"part_000000\.parquet is (missing|not what was written).*: restore it, or"):
        read_table(path)
