"""One file to a row, and a source's rows settled together, without Ray."""

import errno
import os
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from system.archive import Archive, SplitConfig, check_no_leak
from system.archive.intake import Intake, source_of, stamp_of, take
from system.archive.layouts import SourceItem
from system.archive.pixels import PixelStore
from system.archive.settle import SettledRows, write_settled
from system.archive.tables import SCHEMAS
from system.errors import MachineFault, UserError
from system.imaging import DicomConfig, ImageRefused, ImagingConfig
from tests.system.archive.drawn import DICOM, DrawnLayout, breast, square

SHARES = SplitConfig(strong=0.5, weak=0.0, validation=0.0, test=0.5, draw="by_count")


@pytest.fixture
def archive(tmp_path: Path) -> Archive:
    return Archive.create(tmp_path / "archive", imaging=ImagingConfig(height_px=64, width_px=32), site_key=bytes(32))


def read_items(archive: Archive, layout: DrawnLayout, *items: SourceItem) -> list[Intake]:
    return [take(archive, layout, source=Path("/dump"), item=item, dicom=DICOM) for item in items]


def ingest(archive: Archive, layout: DrawnLayout, *items: SourceItem, overwrite: bool = False) -> SettledRows:
    return write_settled(archive, read_items(archive, layout, *items), config=SHARES, overwrite=overwrite)


def test_a_row_names_stored_pixels_and_hashed_ids(archive: Archive) -> None:
    (intake,) = read_items(archive, DrawnLayout({"a": breast()}), SourceItem("a"))

    assert archive.pixels(intake.pixel_sha).shape == (64, 32)
    assert intake.patient_id == archive.identifier("patient", "P1")
    assert intake.spacing_mm == pytest.approx(0.4)  # half the resolution
    assert intake.mask_sha == ""


def test_truth_is_stored_with_its_lesions_counted(archive: Archive) -> None:
    mask = square()
    mask[70:74, 10:14] = True

    (intake,) = read_items(
        archive, DrawnLayout({"a": breast()}, {"a": mask}), SourceItem("a", has_truth=True, num_masses=2)
    )

    assert (intake.num_lesions, intake.area_px) == (2, 25 + 4)
    assert (archive.pixels(intake.mask_sha) > 0).sum() == 29


def test_a_known_absence_of_masses_is_an_empty_mask(archive: Archive) -> None:
    settled = ingest(archive, DrawnLayout({"a": breast()}), SourceItem("a", has_truth=True))

    (row,) = settled.masks.to_pylist()
    assert row["num_lesions"] == 0
    assert not archive.pixels(row["mask_sha"]).any()


@pytest.mark.parametrize(
    ("error", "code"),
    [(ImageRefused("multiframe", "4 frames"), "multiframe"), (ValueError("name: JANE DOE"), "unreadable")],
)
def test_whatever_is_wrong_with_a_file_is_one_row_without_its_name(
    archive: Archive, error: Exception, code: str
) -> None:
    settled = ingest(
        archive, DrawnLayout({"DOE^JANE.dcm": error, "b": breast()}), SourceItem("DOE^JANE.dcm"), SourceItem("b")
    )

    (row,) = settled.quarantine.to_pylist()
    assert row["code"] == code
    assert row["source"] == archive.identifier("file", "/dump/DOE^JANE.dcm")
    assert "JANE" not in str(row)
    assert settled.images.num_rows == 1


def test_a_mask_of_another_size_keeps_its_image_out(archive: Archive) -> None:
    settled = ingest(
        archive,
        DrawnLayout({"a": breast()}, {"a": np.ones((9, 9), bool)}),
        SourceItem("a", has_truth=True, num_masses=1),
    )

    assert settled.quarantine["code"].to_pylist() == ["mask_size"]


def test_ingesting_again_changes_nothing(archive: Archive) -> None:
    layout = DrawnLayout({"a": breast(), "b": ImageRefused("view", "XCCL")}, {"a": square()})
    items = SourceItem("a", has_truth=True, num_masses=1), SourceItem("b")
    ingest(archive, layout, *items)
    before = archive.versions()

    again = ingest(archive, layout, *items)

    assert archive.versions() == before
    assert (again.images.num_rows, again.num_already_there) == (0, 1)


def test_of_one_uid_with_two_pictures_neither_is_used(archive: Archive) -> None:
    layout = DrawnLayout({"a": breast(seed=1), "b": breast(seed=2)})

    settled = ingest(archive, layout, SourceItem("a"), SourceItem("b"))

    assert settled.images.num_rows == 0
    assert settled.quarantine["code"].to_pylist() == ["uid_conflict", "uid_conflict"]


def test_one_picture_under_two_uids_is_kept_once(archive: Archive) -> None:
    settled = ingest(
        archive, DrawnLayout({"a": breast("i1"), "b": breast("i2", patient="P2")}), SourceItem("a"), SourceItem("b")
    )

    assert settled.images.num_rows == 1
    assert settled.quarantine["code"].to_pylist() == ["uid_conflict"]


def test_a_changed_picture_of_a_known_uid_is_kept_out_unless_overwriting(archive: Archive) -> None:
    ingest(archive, DrawnLayout({"a": breast(seed=1)}), SourceItem("a"))

    kept_out = ingest(archive, DrawnLayout({"a": breast(seed=2)}), SourceItem("a"))
    replaced = ingest(archive, DrawnLayout({"a": breast(seed=2)}), SourceItem("a"), overwrite=True)

    assert (kept_out.images.num_rows, replaced.images.num_rows) == (0, 1)
    assert archive.table("images")["pixel_sha"].to_pylist() == replaced.images["pixel_sha"].to_pylist()


def test_a_patient_of_the_archive_keeps_their_split(archive: Archive) -> None:
    ingest(archive, DrawnLayout({"a": breast("i1")}), SourceItem("a", has_truth=True, split="validation"))

    later = ingest(archive, DrawnLayout({"b": breast("i2", seed=2)}), SourceItem("b", has_truth=True))

    assert later.images["split"].to_pylist() == ["validation"]


def test_an_image_without_truth_of_a_held_out_patient_is_kept_out(archive: Archive) -> None:
    ingest(archive, DrawnLayout({"a": breast("i1")}), SourceItem("a", has_truth=True, split="test"))

    later = ingest(archive, DrawnLayout({"b": breast("i2", seed=2)}), SourceItem("b"))

    assert later.quarantine["code"].to_pylist() == ["no_truth"]
    assert later.images.num_rows == 0


def test_a_patient_given_two_splits_is_refused(archive: Archive) -> None:
    items = SourceItem("a", has_truth=True, split="test"), SourceItem("b", has_truth=True, split="strong")

    with pytest.raises(UserError, match=r"given the splits \['strong', 'test'\]"):
        ingest(archive, DrawnLayout({"a": breast("i1"), "b": breast("i2", seed=2)}), *items)


@pytest.mark.parametrize("patient", ["", "0", "00000", "anon"])
def test_a_patient_id_of_nobody_is_weak_and_joins_no_two_studies(archive: Archive, patient: str) -> None:
    layout = DrawnLayout(
        {"a": breast("i1", patient=patient, study="s1"), "b": breast("i2", patient=patient, study="s2", seed=2)}
    )

    settled = ingest(archive, layout, SourceItem("a", has_truth=True), SourceItem("b", has_truth=True))

    assert settled.images["split"].to_pylist() == ["weak", "weak"]
    assert len(set(settled.images["patient_id"].to_pylist())) == 2


def studies(number: int, *, patient: str = "P1", births: tuple[str, ...] = ("",)) -> DrawnLayout:
    """Return one image of each study of a patient, the birth dates in turn."""
    return DrawnLayout(
        {
            f"{patient} {at}": breast(
                f"i{patient} {at}",
                patient=patient,
                study=f"s{patient} {at}",
                seed=100 * int(patient[1:]) + at,
                birth=births[at % len(births)],
            )
            for at in range(number)
        }
    )


def free(layout: DrawnLayout) -> list[SourceItem]:
    """Return the images as free of masses, so that the patient can be held out."""
    return [SourceItem(name, has_truth=True) for name in layout.images]


ALL_TEST = SplitConfig(strong=0.0, weak=0.0, validation=0.0, test=1.0, max_studies=3)


def splits_of(archive: Archive, layout: DrawnLayout, *, config: SplitConfig = ALL_TEST) -> set[str]:
    """Ingest and return the splits of the archive's images."""
    intakes = read_items(archive, layout, *free(layout))
    archive.upsert("files", pa.Table.from_pylist([asdict(intake) for intake in intakes], schema=SCHEMAS["files"]))
    write_settled(archive, intakes, config=config, overwrite=False)
    return set(archive.table("images")["split"].to_pylist())


@pytest.mark.parametrize(("number", "split"), [(3, "test"), (4, "weak")])
def test_an_id_with_more_studies_than_one_person_has_is_never_held_out(
    archive: Archive, number: int, split: str
) -> None:
    assert splits_of(archive, studies(number)) == {split}


@pytest.mark.parametrize(
    ("births", "split"),
    [
        (("19500101", "19500101"), "test"),
        (("19500101", "1950.01.01"), "test"),  # the same date, as old files write it
        (("19500101", ""), "test"),
        (("19500101", "19000101"), "test"),  # stands for no date
        (("19500101", "not known"), "test"),
        (("19500101", "19610203"), "weak"),
    ],
)
def test_an_id_with_several_birth_dates_is_never_held_out(
    archive: Archive, births: tuple[str, ...], split: str
) -> None:
    assert splits_of(archive, studies(2, births=births)) == {split}


def test_an_id_that_proves_to_be_of_several_people_leaves_the_test_set_and_others_stay(archive: Archive) -> None:
    layout = studies(5)
    first = DrawnLayout({name: layout.images[name] for name in list(layout.images)[:2]})
    later = DrawnLayout({name: layout.images[name] for name in list(layout.images)[2:]})
    splits_of(archive, studies(2, patient="P2"))
    assert splits_of(archive, first) == {"test"}
    assert splits_of(archive, later) == {"test", "weak"}
    table = archive.table("images")
    of_patient = dict(zip(table["patient_id"].to_pylist(), table["split"].to_pylist(), strict=True))
    assert of_patient == {archive.identifier("patient", "P1"): "weak", archive.identifier("patient", "P2"): "test"}
    check_no_leak(table)
    before = archive.versions()
    assert splits_of(archive, later) == {"test", "weak"}
    assert archive.versions() == before


def test_studies_that_an_earlier_source_brought_count_too(archive: Archive) -> None:
    layout = studies(5)
    rows = [asdict(intake) for intake in read_items(archive, layout, *free(layout))]
    archive.upsert("files", pa.Table.from_pylist(rows, schema=SCHEMAS["files"]))
    one = DrawnLayout({"P1 0": layout.images["P1 0"]})
    assert splits_of(archive, one) == {"weak"}


def test_files_that_were_read_before_birth_dates_were_kept_have_none(archive: Archive) -> None:
    layout = studies(2, births=("19500101", "19610203"))
    intakes = [replace(intake, birth=None) for intake in read_items(archive, layout, *free(layout))]
    write_settled(archive, intakes, config=ALL_TEST, overwrite=False)
    assert archive.table("images")["split"].to_pylist() == ["test", "test"]


@pytest.mark.parametrize("stranger", ["P2", "ANON", ""])
def test_a_study_belongs_to_one_patient_and_to_a_known_one_first(archive: Archive, stranger: str) -> None:
    layout = DrawnLayout(
        {"a": breast("i1", patient=stranger), "b": breast("i2", seed=2), "c": breast("i3", study="s2", seed=3)}
    )
    settled = ingest(archive, layout, *(SourceItem(name) for name in layout.images))
    assert settled.quarantine["code"].to_pylist() == ["uid_conflict"]
    stays = archive.identifier("patient", stranger if stranger == "P2" else "P1")
    taken = {row["study_id"]: row["patient_id"] for row in settled.images.to_pylist()}
    assert taken[archive.identifier("study", "s")] == stays
    assert len(settled.images) == 2


def test_a_study_of_the_archive_stays_with_its_patient_unless_its_files_are_replaced(archive: Archive) -> None:
    ingest(archive, DrawnLayout({"a": breast("i1")}), SourceItem("a"))
    other = DrawnLayout({"b": breast("i2", patient="P2", seed=2)})
    assert ingest(archive, other, SourceItem("b")).quarantine["code"].to_pylist() == ["uid_conflict"]
    corrected = DrawnLayout({"a": breast("i1", patient="P2")})
    ingest(archive, corrected, SourceItem("a"), overwrite=True)
    assert archive.table("images")["patient_id"].to_pylist() == [archive.identifier("patient", "P2")]


def test_memory_that_runs_out_is_a_code_of_the_quarantine(archive: Archive) -> None:
    settled = ingest(archive, DrawnLayout({"a": MemoryError()}), SourceItem("a"))

    assert settled.quarantine["code"].to_pylist() == ["memory"]


def test_a_file_that_can_be_read_at_last_leaves_the_quarantine(archive: Archive) -> None:
    ingest(
        archive,
        DrawnLayout({"a": ImageRefused("truncated", ""), "b": ImageRefused("view", "")}),
        SourceItem("a"),
        SourceItem("b"),
    )

    ingest(archive, DrawnLayout({"a": breast()}), SourceItem("a"))

    assert archive.table("quarantine")["code"].to_pylist() == ["view"]
    assert archive.table("images").num_rows == 1


def test_settling_is_repeated_when_another_job_has_written_meanwhile(
    archive: Archive, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The other job stores the same picture under another id just before ours would."""
    ours, theirs = DrawnLayout({"a": breast("i1")}), DrawnLayout({"b": breast("i2", patient="P2")})
    write, interrupted = Archive.upsert, []

    def upsert(self: Archive, name: str, rows: pa.Table, *, based_on: int | None = None) -> int:
        if name == "images" and not interrupted:
            interrupted.append(True)
            ingest(archive, theirs, SourceItem("b"))
        return write(self, name, rows, based_on=based_on)

    monkeypatch.setattr(Archive, "upsert", upsert)
    settled = ingest(archive, ours, SourceItem("a"))

    assert settled.quarantine["code"].to_pylist() == ["uid_conflict"]
    assert archive.table("images")["image_id"].to_pylist() == [archive.identifier("image", "i2")]


@pytest.mark.parametrize("change", ["pixels", "truth", "setting"])
def test_a_stamp_changes_with_all_that_determines_a_files_row(archive: Archive, tmp_path: Path, change: str) -> None:
    layout, item, settings = DrawnLayout({}), SourceItem("a"), DICOM
    (tmp_path / "a").write_bytes(b"1234")
    before = stamp_of(archive, layout, source=tmp_path, item=item, dicom=settings)
    assert stamp_of(archive, layout, source=tmp_path, item=item, dicom=settings) == before

    if change == "pixels":
        (tmp_path / "a").write_bytes(b"12345")
    elif change == "truth":
        item = SourceItem("a", has_truth=True)
    else:
        settings = DicomConfig(allow_for_processing=True)

    assert stamp_of(archive, layout, source=tmp_path, item=item, dicom=settings) != before


def test_files_of_one_name_in_two_folders_are_two_sources(archive: Archive, tmp_path: Path) -> None:
    assert source_of(archive, tmp_path / "x", SourceItem("a")) != source_of(archive, tmp_path / "y", SourceItem("a"))


@pytest.mark.parametrize("number", [errno.EIO, errno.ESTALE, errno.ENOSPC, errno.ETIMEDOUT])
def test_a_disk_that_fails_while_a_file_is_read_is_no_files_fault(archive: Archive, number: int) -> None:
    layout = DrawnLayout({"a": OSError(number, os.strerror(number), "DOE^JANE.png")})
    with pytest.raises(MachineFault, match=r"\(the source\)") as fault:
        read_items(archive, layout, SourceItem("a"))
    assert "DOE" not in str(fault.value)


@pytest.mark.parametrize("number", [errno.EACCES, errno.EISDIR, errno.ENOENT])
def test_a_file_that_may_not_be_opened_is_unreadable(archive: Archive, number: int) -> None:
    layout = DrawnLayout({"a": OSError(number, os.strerror(number))})
    (row,) = read_items(archive, layout, SourceItem("a"))
    assert row.code == "unreadable"


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EACCES, errno.EROFS])
def test_an_archive_that_takes_no_pixels_is_no_files_fault_and_the_same_file_is_taken_afterwards(
    archive: Archive, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    def fail(*_: object) -> None:
        raise OSError(number, os.strerror(number))

    layout = DrawnLayout({"a": breast()})
    with monkeypatch.context() as patch:
        patch.setattr(PixelStore, "_write", fail)
        with pytest.raises(MachineFault, match=r"\(pixels of "):
            read_items(archive, layout, SourceItem("a"))
    (row,) = read_items(archive, layout, SourceItem("a"))
    assert row.code == ""
