"""CSV files that are safe in a spreadsheet."""

import csv
from collections.abc import Iterator
from pathlib import Path

import pytest

from system.files.csv_out import write_csv


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
