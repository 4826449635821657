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
