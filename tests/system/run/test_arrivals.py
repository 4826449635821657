"""What an archive has gained since a run read it."""

from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from system.archive import Archive
from system.archive.tables import SCHEMAS
from system.errors import UserError
from system.imaging import ImagingConfig
from system.run.arrivals import arrivals, check_same_patients
from system.run.results import Arrivals


def write(archive: Archive, name: str, *rows: dict[str, Any]) -> None:
    empty = dict.fromkeys(SCHEMAS[name].names)
    archive.upsert(name, pa.Table.from_pylist([empty | row for row in rows], schema=SCHEMAS[name]))


def image(study: str, split: str, *, view: str = "CC") -> dict[str, Any]:
    name = f"{study}{view}"
    return {"image_id": name, "study_id": study, "patient_id": f"of {study}", "pixel_sha": name, "split": split}


def report(study: str, version: int, status: str = "final") -> dict[str, Any]:
    return {"study_id": study, "version": version, "status": status}


@pytest.fixture
def archive(tmp_path: Path) -> Archive:
    """Return an archive of four studies, all but the last with a report."""
    made = Archive.create(tmp_path / "archive", imaging=ImagingConfig(height_px=64, width_px=64), site_key=bytes(32))
    for study, split in (("a", "strong"), ("b", "weak"), ("c", "test"), ("d", "weak")):
        write(made, "images", image(study, split), image(study, split, view="MLO"))
    write(made, "reports", report("a", 1), report("b", 1), report("c", 1), report("c", 2, "corrected"))
    write(made, "masks", {"image_id": "aCC", "mask_sha": "1", "num_lesions": 1})
    return made


def since(archive: Archive, before: dict[str, int]) -> Arrivals:
    return arrivals(archive.pinned(before), archive)


def test_an_archive_that_has_not_changed_has_gained_nothing(archive: Archive) -> None:
    found = since(archive, archive.versions())
    assert found == Arrivals(0, 0, 0, 0, 0, 0, 0)
    assert found.line() == ""


def test_studies_count_once_whatever_their_views_and_held_out_ones_apart(archive: Archive) -> None:
    before = archive.versions()
    write(archive, "images", image("e", "weak"), image("e", "weak", view="MLO"), image("f", "validation"))
    write(archive, "images", image("a", "strong", view="third"))
    found = since(archive, before)
    assert (found.num_studies, found.num_held_out) == (2, 1)
    assert found.line() == "2 studies"


def test_a_study_has_one_change_of_its_report_the_last_that_counts(archive: Archive) -> None:
    before = archive.versions()
    write(archive, "reports", report("a", 2, "corrected"), report("a", 3, "corrected"))  # corrected, once
    write(archive, "reports", report("b", 2, "withdrawn"))
    write(archive, "reports", report("c", 3, "preliminary"))  # counts for nothing
    write(archive, "reports", report("d", 1))  # the first of its study
    write(archive, "reports", report("e", 1), report("e", 2, "withdrawn"))  # came and went
    found = since(archive, before)
    assert (found.num_reports, found.num_corrected, found.num_withdrawn) == (1, 1, 1)
    assert found.line() == "1 report, 1 corrected report and 1 withdrawn report"


def test_a_report_that_comes_after_a_withdrawn_one_is_new(archive: Archive) -> None:
    write(archive, "reports", report("b", 2, "withdrawn"))
    before = archive.versions()
    write(archive, "reports", report("b", 3, "corrected"))
    assert since(archive, before) == Arrivals(0, 0, 1, 0, 0, 0, 0)


def test_verdicts_and_changed_outlines_count_by_image(archive: Archive) -> None:
    before = archive.versions()
    write(archive, "verdicts", {"image_id": "bCC", "at": "2026-01-01"}, {"image_id": "bCC", "at": "2026-02-01"})
    write(archive, "masks", {"image_id": "aCC", "mask_sha": "2"}, {"image_id": "aMLO", "mask_sha": "3"})
    found = since(archive, before)
    assert (found.num_verdicts, found.num_outlined) == (2, 2)
    assert found.line() == "2 verdicts and 2 outlined images"


def test_a_run_goes_on_with_new_patients_of_any_split(archive: Archive) -> None:
    before = archive.table("images")
    write(archive, "images", image("e", "test"), image("f", "strong"))
    check_same_patients(before, archive.table("images"))


@pytest.mark.parametrize(("study", "split"), [("c", "strong"), ("c", "weak"), ("b", "test"), ("a", "validation")])
def test_a_patient_who_changes_between_training_and_held_out_is_refused(
    archive: Archive, study: str, split: str
) -> None:
    before = archive.table("images")
    write(archive, "images", image(study, split), image(study, split, view="MLO"))
    with pytest.raises(UserError, match="1 patients have changed between training and held-out since the run began"):
        check_same_patients(before, archive.table("images"))
