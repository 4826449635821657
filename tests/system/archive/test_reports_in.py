"""Reports from a table into rows: read, scrubbed, dates moved alike for one woman."""

import re
from datetime import date

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from system.archive import Archive
from system.archive.layouts import SourceReport
from system.archive.reports_in import read_report_file, report_rows
from system.archive.tables import SCHEMAS
from system.imaging import ImagingConfig

HEADER = "study,version,status,language,description,impression\n"


@pytest.fixture
def archive(tmp_path):
    return Archive.create(tmp_path / "archive", imaging=ImagingConfig(height_px=64, width_px=48), site_key=bytes(32))


def report(study="1.2.3", *, version=1, description="", impression=""):
    return SourceReport(study, version, "final", "en", description, impression)


def image(archive, *, study, patient):
    row = dict.fromkeys(SCHEMAS["images"].names)
    ids = {"image_id": study, "patient_id": patient, "study_id": archive.identifier("study", study)}
    archive.upsert("images", pa.Table.from_pylist([row | ids], schema=SCHEMAS["images"]))


def test_csv_and_parquet_give_the_same_reports(tmp_path):
    (tmp_path / "reports.csv").write_text(HEADER + '1.2.3,2,corrected,zh,"左乳肿块,边缘毛刺",BI-RADS 5\n', encoding="utf8")
    columns = {"study": ["1.2.3"], "version": [2], "status": ["corrected"], "language": ["zh"]}
    pq.write_table(pa.table(columns | {"description": ["左乳肿块,边缘毛刺"], "impression": ["BI-RADS 5"]}), tmp_path / "reports.parquet")

    found = read_report_file(tmp_path / "reports.csv")

    assert found == [SourceReport("1.2.3", 2, "corrected", "zh", "左乳肿块,边缘毛刺", "BI-RADS 5")]
    assert read_report_file(tmp_path / "reports.parquet") == found


def test_a_wrong_row_of_a_parquet_file_is_named(tmp_path):
    columns = {"study": ["1", "2"], "version": [1, 1], "status": ["final", "done"], "language": ["", ""]}
    pq.write_table(pa.table(columns | {"description": ["", ""], "impression": ["", None]}), tmp_path / "reports.parquet")

    with pytest.raises(
        ValueError, match=r"reports\.parquet row 2, status: expected one of \['final', 'corrected', 'withdrawn'\], found 'done'"
    ):
        read_report_file(tmp_path / "reports.parquet")


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("reports.txt", b"", r"reports are read from \.csv or \.parquet"),
        ("reports.parquet", b"PAR1", r"is no Parquet file that can be read"),
    ],
)
def test_a_file_of_another_kind_is_refused(tmp_path, name, content, message):
    (tmp_path / name).write_bytes(content)

    with pytest.raises(ValueError, match=message):
        read_report_file(tmp_path / name)


def test_rows_are_scrubbed_and_their_study_hashed(archive):
    (row,) = report_rows(
        archive, [report(description="姓名: 王小明 左乳肿块", impression="MRN 00123456")], report_source="hospital"
    ).to_pylist()

    assert (row["description"], row["impression"]) == ("姓名: [NAME] 左乳肿块", "MRN: [ID]")
    assert row["study_id"] == archive.identifier("study", "1.2.3")
    assert row["source"] == "hospital"


def test_the_dates_of_one_woman_move_together_and_those_of_another_do_not(archive):
    for study, patient in (("s1", "her"), ("s2", "her"), ("s3", "other")):
        image(archive, study=study, patient=patient)
    reports = [report(study, description="2020-06-15") for study in ("s1", "s2", "s3")]

    rows = report_rows(archive, reports, report_source="hospital").to_pylist()

    days = [(date(2020, 6, 15) - date.fromisoformat(row["description"])).days for row in rows]
    assert days[0] == days[1] != days[2]
    assert all(1 <= moved <= 365 for moved in days)


def test_of_one_version_told_twice_the_last_counts(archive):
    rows = report_rows(archive, [report(description="first"), report(description="second")], report_source="hospital")

    assert rows["description"].to_pylist() == ["second"]


def test_nothing_raw_is_left_in_a_row(archive):
    (row,) = report_rows(archive, [report("1.2.840.99", description="DOE^JANE 1.2.840")], report_source="hospital").to_pylist()

    assert not re.search(r"DOE|JANE|1\.2\.840\.99", str(row))
