"""What ingest says of the splits before anybody trains on them."""

from io import StringIO
from pathlib import Path

import pytest
from rich.console import Console

from pipelines.ingest import IngestSummary, run, summary_table, warnings
from pipelines.tools import reports
from system.archive import Archive, IngestConfig
from system.errors import UserError
from system.imaging import ImagingConfig

ALL = {"strong": 3412, "validation": 341, "test": 689, "weak": 28688}


def test_a_complete_archive_gives_no_warning() -> None:
    assert list(warnings(IngestSummary(patients=ALL, annotated={"strong": 3412, "validation": 341}))) == []


def test_annotated_patients_that_become_weak_are_counted() -> None:
    (found,) = warnings(IngestSummary(patients=ALL, annotated={"strong": 559, "weak": 2069}))
    assert found.startswith("2069 of 2628 annotated patients are weak: their masks are not used")


def test_a_split_without_patients_is_named_with_its_key() -> None:
    found = list(warnings(IngestSummary(patients={"strong": 9, "validation": 1})))
    assert len(found) == 2
    assert "no patient is weak, rounds have nothing to mine" in found[0]
    assert "set ingest.split.test" in found[1]


def test_ids_of_several_people_are_warned_of_with_the_keys_and_counted_in_the_table() -> None:
    found = {"without an ID": 7, "several birth dates": 2, "too many studies": 1}
    summary = IngestSummary(patients=ALL, unidentified=found, num_repeats=4)
    several, many = warnings(summary)
    assert several.startswith("2 patient IDs have several birth dates for one person: they are never held out; ")
    assert many.startswith("1 patient IDs have too many studies for one person")
    assert many.endswith("raise ingest.split.max_birth_dates or .max_studies")
    screen = Console(file=StringIO(), width=120)
    screen.print(summary_table(summary))
    shown = " ".join(screen.file.getvalue().replace("│", " ").split())  # type: ignore[attr-defined]
    for line in (
        "without an ID, never held out 7",
        "several birth dates, never held out 2",
        "a pair of their own each 4",
    ):
        assert line in shown


def test_the_table_says_what_the_annotated_patients_do() -> None:
    screen = Console(file=StringIO(), width=120)
    screen.print(summary_table(IngestSummary(patients=ALL, annotated={"strong": 3412, "weak": 7})))
    shown = screen.file.getvalue()  # type: ignore[attr-defined]
    assert "annotated patients, that train" in shown
    assert "annotated patients, that become weak, masks unused" in shown


REPORTS = "study,version,status,language,description,impression\n"


@pytest.mark.parametrize("layout", ["dicom", "phantom"])
def test_a_wrong_table_of_reports_is_refused_before_the_first_image_is_read(tmp_path: Path, layout: str) -> None:
    """No Ray is started here: an image that was read would need it."""
    (tmp_path / "dicom").mkdir()
    (tmp_path / "dicom" / "a.dcm").write_bytes(b"no DICOM")
    (tmp_path / "reports.csv").write_text(REPORTS + "1.2,3000000000,final,en,,\n")
    config = IngestConfig(imaging=ImagingConfig(height_px=64, width_px=64))
    with pytest.raises(UserError, match=r"reports\.csv line 2, version: expected a whole number up to 2147483647"):
        run(tmp_path, str(tmp_path / "archive"), layout=layout, config=config)
    assert Archive.open(tmp_path / "archive").table("files").num_rows == 0


def test_a_report_that_is_too_long_is_left_out_and_said(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    archive = Archive.create(tmp_path / "archive", imaging=ImagingConfig(height_px=64, width_px=64))
    (tmp_path / "today.csv").write_text(REPORTS + f"1,1,final,en,{200_000 * 'x'},\n2,1,final,en,left mass,\n")
    assert reports.run(tmp_path / "today.csv", archive.uri).num_reports == 1
    assert any("1 reports with a text of more than 100000 characters were left out" in each for each in caplog.messages)
    assert archive.table("reports")["study_id"].to_pylist() == [archive.identifier("study", "2")]
    (warning,) = warnings(IngestSummary(patients=ALL, num_reports_too_long=2))
    assert warning.startswith("2 reports with a text of more than 100000 characters were left out")
