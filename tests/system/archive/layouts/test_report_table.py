"""Tables of reports as hospitals export them."""

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from system.archive.layouts import SourceReport
from system.archive.layouts.report_table import read_report_file
from system.errors import UserError

HEADER = "study,version,status,language,description,impression\n"


def test_csv_and_parquet_give_the_same_reports(tmp_path: Path) -> None:
    (tmp_path / "reports.csv").write_text(
        HEADER + '1.2.3,2,corrected,zh,"左乳肿块,边缘毛刺",BI-RADS 5\n', encoding="utf8"
    )
    columns = {"study": ["1.2.3"], "version": [2], "status": ["corrected"], "language": ["zh"]}
    pq.write_table(
        pa.table(columns | {"description": ["左乳肿块,边缘毛刺"], "impression": ["BI-RADS 5"]}),
        tmp_path / "reports.parquet",
    )

    found = read_report_file(tmp_path / "reports.csv")

    assert found == [SourceReport("1.2.3", 2, "corrected", "zh", "左乳肿块,边缘毛刺", "BI-RADS 5")]
    assert read_report_file(tmp_path / "reports.parquet") == found


def test_a_wrong_row_of_a_parquet_file_is_named(tmp_path: Path) -> None:
    columns = {"study": ["1", "2"], "version": [1, 1], "status": ["final", "done"], "language": ["", ""]}
    pq.write_table(
        pa.table(columns | {"description": ["", ""], "impression": ["", None]}), tmp_path / "reports.parquet"
    )

    with pytest.raises(
        UserError,
        match=r"reports\.parquet row 2, status: expected one of \['final', 'corrected', 'withdrawn'\], found 'done'",
    ):
        read_report_file(tmp_path / "reports.parquet")


@pytest.mark.parametrize("form", ["csv", "parquet"])
def test_all_wrong_reports_are_refused_at_once(tmp_path: Path, form: str) -> None:
    path = tmp_path / f"reports.{form}"
    rows = [
        ("1", "3000000000", "final"),
        ("2", "1", "done"),
        ("", "1.5", "final"),
        ("4", "9" * 30, "final"),
        ("5", "1", "final"),
    ]
    if form == "csv":
        path.write_text(HEADER + "".join(f"{study},{version},{status},en,,\n" for study, version, status in rows))
    else:
        columns = dict(zip(("study", "version", "status"), map(list, zip(*rows, strict=True)), strict=True))
        empty = [""] * len(rows)
        pq.write_table(pa.table(columns | {"language": empty, "description": empty, "impression": empty}), path)
    unit, first = ("line", 2) if form == "csv" else ("row", 1)
    with pytest.raises(UserError) as caught:
        read_report_file(path)
    assert [line[:60] for line in sorted(str(caught.value).splitlines())] == [
        f"{path.name} {unit} {first + place}{text}"[:60]
        for place, text in [
            (0, ", version: expected a whole number up to 2147483647, found"),
            (1, ", status: expected one of ['final', 'corrected', 'withdrawn']"),
            (2, ", version: expected a whole number, found '1.5'"),
            (2, ": study is empty: give the StudyInstanceUID"),
            (3, ", version: expected a whole number up to 2147483647, found"),
        ]
    ]


def test_a_long_report_costs_no_other_report(tmp_path: Path) -> None:
    long = "left breast: no mass. " * 20_000
    (tmp_path / "reports.csv").write_text(HEADER + f'1,1,final,en,"{long}",\n2,1,final,en,mass,\n')
    assert [len(report.description) for report in read_report_file(tmp_path / "reports.csv")] == [len(long.strip()), 4]


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("reports.txt", b"", r"reports are read from \.csv or \.parquet"),
        ("reports.parquet", b"PAR1", r"is no Parquet file that can be read"),
    ],
)
def test_a_file_of_another_kind_is_refused(tmp_path: Path, name: str, content: bytes, message: str) -> None:
    (tmp_path / name).write_bytes(content)

    with pytest.raises(UserError, match=message):
        read_report_file(tmp_path / name)
