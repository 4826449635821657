"""Reports to rows: scrubbed, with the same shift of dates for all studies of a patient."""

import re
from datetime import date
from pathlib import Path

import pyarrow as pa
import pytest

from system.archive import Archive
from system.archive.layouts import SourceReport
from system.archive.reports_in import readable, report_rows
from system.archive.tables import SCHEMAS
from system.imaging import ImagingConfig


@pytest.fixture
def archive(tmp_path: Path) -> Archive:
    return Archive.create(tmp_path / "archive", imaging=ImagingConfig(height_px=64, width_px=32), site_key=bytes(32))


def report(study: str = "1.2.3", *, version: int = 1, description: str = "", impression: str = "") -> SourceReport:
    return SourceReport(study, version, "final", "en", description, impression)


def image(archive: Archive, *, study: str, patient: str) -> None:
    row = dict.fromkeys(SCHEMAS["images"].names)
    ids = {"image_id": study, "patient_id": patient, "study_id": archive.identifier("study", study)}
    archive.upsert("images", pa.Table.from_pylist([row | ids], schema=SCHEMAS["images"]))


def test_a_text_that_nobody_wrote_costs_its_report_alone() -> None:
    long = "mass " * 30_000
    reports = [
        report("1", description=long),
        report("2"),
        report("3", impression=long),
        report("4", description="x" * 100_000),
    ]
    assert [kept.study for kept in readable(reports)] == ["2", "4"]


def test_rows_are_scrubbed_and_their_study_hashed(archive: Archive) -> None:
    (row,) = report_rows(
        archive, [report(description="姓名: 王小明 左乳肿块", impression="MRN 00123456")], report_source="hospital"
    ).to_pylist()

    assert (row["description"], row["impression"]) == ("姓名: [NAME] 左乳肿块", "MRN: [ID]")
    assert row["study_id"] == archive.identifier("study", "1.2.3")
    assert row["source"] == "hospital"


def test_the_dates_of_one_patient_move_together_and_those_of_another_do_not(archive: Archive) -> None:
    for study, patient in (("s1", "one"), ("s2", "one"), ("s3", "other")):
        image(archive, study=study, patient=patient)
    reports = [report(study, description="2020-06-15") for study in ("s1", "s2", "s3")]

    rows = report_rows(archive, reports, report_source="hospital").to_pylist()

    days = [(date(2020, 6, 15) - date.fromisoformat(row["description"])).days for row in rows]
    assert days[0] == days[1] != days[2]
    assert all(1 <= moved <= 365 for moved in days)


def test_of_one_version_given_twice_the_last_counts(archive: Archive) -> None:
    rows = report_rows(archive, [report(description="first"), report(description="second")], report_source="hospital")

    assert rows["description"].to_pylist() == ["second"]


def test_nothing_raw_is_left_in_a_row(archive: Archive) -> None:
    (row,) = report_rows(
        archive, [report("1.2.840.99", description="DOE^JANE 1.2.840")], report_source="hospital"
    ).to_pylist()

    assert not re.search(r"DOE|JANE|1\.2\.840\.99", str(row))


def test_the_log_counts_what_was_taken_out_and_quotes_nothing(
    archive: Archive, caplog: pytest.LogCaptureFixture
) -> None:
    reports = [report("1", description="姓名: 王小明", impression="MRN 00123456"), report("2", description="左乳肿块")]
    with caplog.at_level("INFO"):
        report_rows(archive, reports, report_source="hospital")
    assert "2 reports scrubbed: 1 ID, 1 NAME; per report 1.0, at most 2; 1 reports without any" in caplog.text
    assert "王小明" not in caplog.text
