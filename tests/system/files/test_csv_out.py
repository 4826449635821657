"""CSV files that are safe in a spreadsheet, and give back what was written."""

import csv
import io
import re
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from system.files import csv_out
from system.files.csv_in import read_rows
from system.files.csv_out import as_it_was, harmless, write_csv


def test_rows_come_back_as_they_were_but_for_formulas(tmp_path: Path) -> None:
    path = tmp_path / "out.csv"
    write_csv(path, ["file", "x"], [("a,b.dcm", -1.5), ('=cmd|" /C calc"', 2), ("@x", 3), ("左.png", 4)])
    with path.open(encoding="utf8", newline="") as file:
        assert list(csv.reader(file)) == [
            ["file", "x"],
            ["a,b.dcm", "-1.5"],
            ['\'=cmd|" /C calc"', "2"],
            ["'@x", "3"],
            ["左.png", "4"],
        ]


FORMULAS = (
    "=1+1",
    "+1",
    "-1",
    "@SUM(A1)",
    "\t=1",
    "\tx",
    "\rx",
    "\n=1",
    "＝1+1",
    "＋1",
    "－1",
    "＠x",
    "﹢1",
    "  =1",
    "\u00a0=1",
    "\u3000＝1",
    '"=1',
    "'=1",
    "''-1",
    ' " =1',
    "“=1",
    "\ufeff=1",
    "\u200b@x",
)


@pytest.mark.parametrize("text", FORMULAS, ids=ascii)
def test_a_formula_is_a_text_however_it_begins_and_is_read_as_it_was(tmp_path: Path, text: str) -> None:
    path = tmp_path / "out.csv"
    write_csv(path, ["a", text], [(text, 1)])
    with path.open(encoding="utf8", newline="") as file:
        header, row = csv.reader(file)
    assert header[1] == row[0] == f"'{text}"
    ((_, found),) = read_rows(path, columns=("a",))
    assert found["a"] == text


@pytest.mark.parametrize("text", ["", "a", "3", "a=1", "'a'", '"a"', " a", "’s", "1-2", "左.png", "'"])
def test_other_texts_stay_as_they_are(text: str) -> None:
    assert harmless(text) == text


@given(st.text(alphabet="=-@＝'\" \tax\u3000", max_size=6))
def test_what_is_marked_is_unmarked_to_the_same_text(text: str) -> None:
    assert as_it_was(harmless(text)) == text
    assert as_it_was(text) == text or harmless(as_it_was(text)) == text


def test_numbers_are_no_texts(tmp_path: Path) -> None:
    write_csv(tmp_path / "out.csv", ["a", "b", "c", "d"], [(-1, -1.5, np.float32(-0.5), None)])
    assert (tmp_path / "out.csv").read_text(encoding="utf8").splitlines()[1] == "-1,-1.5,-0.5,"


def test_what_is_no_text_is_written_as_one(tmp_path: Path) -> None:
    write_csv(tmp_path / "out.csv", ["a"], [(Path("=x"),)])
    assert next(iter(csv.reader(io.StringIO((tmp_path / "out.csv").read_text().split("\n", 1)[1])))) == ["'=x"]


def test_the_product_writes_csv_in_this_one_way() -> None:
    house = Path(csv_out.__file__).parents[2]
    sources = [path for room in ("system", "actors", "pipelines") for path in (house / room).rglob("*.py")]
    others = [path for path in sources if re.search(r"csv\.(writer|DictWriter)|\.to_csv\(", path.read_text("utf8"))]
    assert others == [Path(csv_out.__file__)]


def test_a_table_appears_whole_and_with_its_permissions(tmp_path: Path) -> None:
    def rows() -> Iterator[tuple[str]]:
        yield ("a",)
        raise ValueError("a bad row")

    path = tmp_path / "out.csv"
    write_csv(path, ["file"], [("old",)], mode=0o600)
    with pytest.raises(ValueError, match="a bad row"):
        write_csv(path, ["file"], rows())
    assert path.read_text().splitlines() == ["file", "old"]
    assert path.stat().st_mode & 0o777 == 0o600
    assert list(tmp_path.iterdir()) == [path]
