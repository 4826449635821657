import csv

from system.exchange import write_csv


def test_rows_come_back_as_they_were_but_for_formulas(tmp_path):
    path = tmp_path / "out.csv"
    write_csv(path, ["file", "x"], [("a,b.dcm", -1.5), ('=cmd|" /C calc"', 2), ("@x", 3), ("左.png", 4)])
    with path.open(encoding="utf8", newline="") as file:
        assert list(csv.reader(file)) == [["file", "x"], ["a,b.dcm", "-1.5"], ['\'=cmd|" /C calc"', "2"], ["'@x", "3"], ["左.png", "4"]]
