"""What of earlier inferences is taken over: the same pixels on both sides, read, and nothing else."""

from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from system.run.maps_kept import Kept, kept_rows, take_over
from system.schemas import PAIRS, PREDICTIONS

LEFT, RIGHT = 10, 20  # image_key of pair n: LEFT + n, RIGHT + n


def pair(number: int, *, left: str = "l", right: str = "r") -> dict[str, Any]:
    """Return a pair; left, right: its pixels, "" = that breast is missing."""
    row: dict[str, Any] = {"pair_key": number, "study_id": f"s{number}", "patient_id": "p", "view": "CC"}
    for name, key, sha in (("left", LEFT, left), ("right", RIGHT, right)):
        row |= {f"{name}_id": f"{name}{number}" if sha else "", f"{name}_key": key + number if sha else 0}
        row[f"{name}_sha"] = sha
    return row


def rows_of(pairs: list[dict[str, Any]], *, error: str | None = None) -> list[dict[str, Any]]:
    """Return the predictions of pairs."""
    found = []
    for each in pairs:
        for name, other in (("left", "right"), ("right", "left")):
            if each[f"{name}_id"]:
                row = {"image_key": each[f"{name}_key"], "image_id": each[f"{name}_id"], "error": error}
                row |= {"pixel_sha": each[f"{name}_sha"], "other_sha": each[f"{other}_sha"]}
                found.append(dict.fromkeys(PREDICTIONS.names) | row)
    return found


def written(path: Path, rows: list[dict[str, Any]]) -> Path:
    pq.write_table(pa.Table.from_pylist(rows, schema=PREDICTIONS), path)
    return path


def table(*pairs: dict[str, Any]) -> pa.Table:
    return pa.Table.from_pylist(list(pairs), schema=PAIRS)


def keys(left: pa.Table) -> list[int]:
    return left["pair_key"].to_pylist()


def test_what_was_looked_at_is_kept_and_the_rest_is_left(tmp_path: Path) -> None:
    file = written(tmp_path / "a.parquet", rows_of([pair(1), pair(2)]))
    kept, left = kept_rows(table(pair(1), pair(2), pair(3)), [file])
    assert kept == [Kept(file, (11, 12, 21, 22), whole=True)]
    assert keys(left) == [3]
    assert left.schema == PAIRS


@pytest.mark.parametrize(
    "now",
    [pair(1, left="other"), pair(1, right="other"), pair(1, right=""), pair(1, left="r", right="l")],
    ids=["left", "right", "gone", "swapped"],
)
def test_other_pixels_on_either_side_are_looked_at_again(tmp_path: Path, now: dict[str, Any]) -> None:
    file = written(tmp_path / "a.parquet", rows_of([pair(1), pair(2)]))
    kept, left = kept_rows(table(now, pair(2)), [file])
    assert kept == [Kept(file, (12, 22), whole=False)]
    assert keys(left) == [1]


def test_a_breast_that_came_later_makes_the_pair_another(tmp_path: Path) -> None:
    file = written(tmp_path / "a.parquet", rows_of([pair(1, right="")]))
    assert keys(kept_rows(table(pair(1, right="")), [file])[1]) == []
    assert keys(kept_rows(table(pair(1)), [file])[1]) == [1]


def test_what_could_not_be_read_is_tried_again(tmp_path: Path) -> None:
    file = written(tmp_path / "a.parquet", rows_of([pair(1)], error="left breast: pixels_missing"))
    kept, left = kept_rows(table(pair(1)), [file])
    assert (kept, keys(left)) == ([], [1])


def test_each_image_comes_from_the_first_file_that_has_it(tmp_path: Path) -> None:
    first, second = (written(tmp_path / f"{name}.parquet", rows_of([pair(1)])) for name in "ab")
    assert [each.file for each in kept_rows(table(pair(1)), [first, second])[0]] == [first]


def test_files_of_before_pixels_were_kept_give_nothing(tmp_path: Path) -> None:
    rows = [row | {"pixel_sha": None, "other_sha": None} for row in rows_of([pair(1)])]
    assert keys(kept_rows(table(pair(1)), [written(tmp_path / "a.parquet", rows)])[1]) == [1]


def test_a_whole_file_is_linked_and_a_part_is_written(tmp_path: Path) -> None:
    file = written(tmp_path / "a.parquet", rows_of([pair(1), pair(2)]))
    take_over(Kept(file, (11, 12, 21, 22), whole=True), tmp_path / "whole.parquet")
    assert (tmp_path / "whole.parquet").samefile(file)
    take_over(Kept(file, (12, 22), whole=False), tmp_path / "part.parquet")
    assert pq.read_table(tmp_path / "part.parquet")["image_key"].to_pylist() == [12, 22]
