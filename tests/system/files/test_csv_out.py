"""CSV files that are safe in a spreadsheet."""

import csv
from pathlib import Path

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
