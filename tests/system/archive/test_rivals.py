"""Files with one UID and several pictures: none is used, whatever the order, and they heal when one is gone."""

from dataclasses import asdict
from pathlib import Path

import pyarrow as pa
import pytest

from system.archive import Archive, SplitConfig
from system.archive import settle as settling
from system.archive.intake import Intake, folder_of, take
from system.archive.layouts import SourceItem
from system.archive.rivals import others_of, reopen
from system.archive.settle import SettledRows, write_settled
from system.archive.tables import SCHEMAS
from system.imaging import ImagingConfig
from tests.system.archive.drawn import DICOM, DrawnLayout, breast, square

ALL_WEAK = SplitConfig(strong=0.0, weak=1.0, validation=0.0, test=0.0)
FIRST, OTHER, THIRD = DrawnLayout({"a": breast(seed=1)}), DrawnLayout({"b": breast(seed=2)}), breast("i2", seed=3)


@pytest.fixture
def archive(tmp_path: Path) -> Archive:
    return new_archive(tmp_path / "archive")


def new_archive(folder: Path) -> Archive:
    return Archive.create(folder, imaging=ImagingConfig(height_px=64, width_px=32), site_key=bytes(32))


def read(archive: Archive, layout: DrawnLayout, *, folder: str = "/dump", truth: bool = False) -> list[Intake]:
    """Read all files of a folder and keep their rows, as an ingest does before it settles them."""
    items = [SourceItem(name, has_truth=truth, num_masses=int(truth)) for name in layout.images]
    intakes = [take(archive, layout, source=Path(folder), item=item, dicom=DICOM) for item in items]
    archive.upsert("files", pa.Table.from_pylist([asdict(intake) for intake in intakes], schema=SCHEMAS["files"]))
    return intakes


def settle(archive: Archive, intakes: list[Intake], *, overwrite: bool = False) -> SettledRows:
    return write_settled(archive, intakes, config=ALL_WEAK, overwrite=overwrite)


def ingest(archive: Archive, layout: DrawnLayout, *, folder: str = "/dump", overwrite: bool = False) -> SettledRows:
    return settle(archive, read(archive, layout, folder=folder), overwrite=overwrite)


def content(archive: Archive) -> tuple[list[str], list[tuple[str, ...]]]:
    """Return the pictures of the archive, and its quarantine."""
    held = sorted(tuple(row.values()) for row in archive.table("quarantine").to_pylist())
    return sorted(archive.table("images")["pixel_sha"].to_pylist()), held


def codes(archive: Archive) -> list[str]:
    return sorted(code for _, code, _ in content(archive)[1])


def test_the_stored_picture_is_withdrawn_with_its_mask_when_another_folder_contradicts_it(archive: Archive) -> None:
    settle(archive, read(archive, DrawnLayout({"a": breast(seed=1)}, {"a": square()}), truth=True))
    assert (len(archive.table("images")), len(archive.table("masks"))) == (1, 1)

    settled = ingest(archive, OTHER, folder="/other")

    assert settled.num_withdrawn == 1
    assert (len(archive.table("images")), len(archive.table("masks"))) == (0, 0)
    assert [(code, detail) for _, code, detail in content(archive)[1]] == 2 * [
        ("uid_conflict", "another file has the same SOP Instance UID and another picture: neither is used")
    ]


def test_every_order_of_ingests_ends_the_same_and_again_changes_nothing(tmp_path: Path) -> None:
    folders = {"/a": FIRST, "/b": OTHER, "/c": DrawnLayout({"c": THIRD, "d": breast(seed=1)})}
    found = []
    archive = new_archive(tmp_path / "none")
    for order in (["/a", "/b", "/c"], ["/c", "/b", "/a"], ["/b", "/c", "/a"]):
        archive = new_archive(tmp_path / order[0][1:])
        for folder in order:
            ingest(archive, folders[folder], folder=folder)
        found.append(content(archive))
    before = archive.versions()
    for folder, layout in folders.items():
        assert ingest(archive, layout, folder=folder).num_withdrawn == 0
    assert archive.versions() == before
    assert all(each == found[0] for each in found)
    assert (len(found[0][0]), len(found[0][1])) == (1, 3)


def test_the_same_picture_in_two_folders_is_no_conflict(archive: Archive) -> None:
    ingest(archive, FIRST, folder="/a")
    ingest(archive, FIRST, folder="/b")
    assert (len(archive.table("images")), codes(archive)) == (1, [])


@pytest.mark.parametrize("moment", ["before the images are written", "before the quarantine is released"])
def test_an_ingest_that_brings_a_rival_meanwhile_leaves_neither(
    archive: Archive, monkeypatch: pytest.MonkeyPatch, moment: str
) -> None:
    """The other one finds nothing stored yet, so only ours can withdraw what we write afterwards."""
    interrupted: list[bool] = []

    def interrupt() -> None:
        if not interrupted:
            interrupted.append(True)
            ingest(archive, OTHER, folder="/other")

    write, release = Archive.upsert, settling._release

    def upsert(self: Archive, name: str, rows: pa.Table, *, based_on: int | None = None) -> int:
        if name == "images" and moment == "before the images are written":
            interrupt()
        return write(self, name, rows, based_on=based_on)

    def releasing(into: Archive, sources: list[str]) -> None:
        if moment == "before the quarantine is released":
            interrupt()
        release(into, sources)

    intakes = read(archive, FIRST)
    monkeypatch.setattr(Archive, "upsert", upsert)
    monkeypatch.setattr(settling, "_release", releasing)
    settle(archive, intakes)
    assert (len(archive.table("images")), codes(archive)) == (0, ["uid_conflict", "uid_conflict"])


@pytest.mark.parametrize("removed", ["a", "b"])
def test_when_one_was_removed_a_retry_takes_the_other(archive: Archive, removed: str) -> None:
    intakes = read(archive, DrawnLayout(FIRST.images | OTHER.images))
    settle(archive, intakes)
    stays = [intake for intake in intakes if (intake.pixel_sha == intakes[0].pixel_sha) == (removed == "b")]

    contested = reopen(archive, folder=folder_of(archive, Path("/dump")), present=[each.source for each in stays])
    settle(archive, stays)

    assert contested == {stays[0].image_id}
    assert content(archive) == ([stays[0].pixel_sha], [])
    assert archive.table("files")["source"].to_pylist() == [stays[0].source]


def test_when_one_was_removed_from_its_folder_the_other_folders_file_heals(archive: Archive) -> None:
    (good,) = read(archive, FIRST, folder="/good")
    settle(archive, [good])
    ingest(archive, OTHER, folder="/bad")

    contested = reopen(archive, folder=folder_of(archive, Path("/bad")), present=[])
    settle(archive, others_of(archive, contested, present=[]))

    assert content(archive) == ([good.pixel_sha], [])


def test_files_of_another_folder_are_not_taken_for_removed(archive: Archive) -> None:
    ingest(archive, FIRST, folder="/a")
    ingest(archive, OTHER, folder="/b")
    reopen(archive, folder=folder_of(archive, Path("/c")), present=[])
    ingest(archive, OTHER, folder="/b")
    assert (len(archive.table("images")), codes(archive)) == (0, ["uid_conflict", "uid_conflict"])


def test_when_the_files_agree_at_last_both_leave_the_quarantine(archive: Archive) -> None:
    ingest(archive, FIRST, folder="/a")
    ingest(archive, OTHER, folder="/b")
    ingest(archive, DrawnLayout({"b": breast(seed=1)}), folder="/b")
    assert (len(archive.table("images")), codes(archive)) == (1, [])


def test_the_owner_decides_with_force_and_the_decision_stays(archive: Archive) -> None:
    (first,) = read(archive, FIRST, folder="/a")
    settle(archive, [first])
    ingest(archive, OTHER, folder="/b")

    ingest(archive, FIRST, folder="/a", overwrite=True)
    assert (content(archive)[0], codes(archive)) == ([first.pixel_sha], ["superseded"])

    rows = archive.table("files").to_pylist()  # an ingest reads nothing again that has not changed
    again = [Intake(**row) for row in rows if row["code"]]
    settle(archive, again)
    assert (content(archive)[0], codes(archive)) == ([first.pixel_sha], ["superseded"])
    ingest(archive, OTHER, folder="/b")  # a retry under that code reads it, and the question is open again
    assert (content(archive)[0], codes(archive)) == ([], ["uid_conflict", "uid_conflict"])


def test_force_chooses_no_one_among_two_of_its_own_folder(archive: Archive) -> None:
    ingest(archive, FIRST, folder="/other")
    settled = ingest(archive, DrawnLayout(FIRST.images | OTHER.images), overwrite=True)
    assert (settled.images.num_rows, len(archive.table("images"))) == (0, 0)
    assert codes(archive) == 3 * ["uid_conflict"]


def test_files_that_were_read_before_folders_were_kept_contradict_each_other_too(archive: Archive) -> None:
    intakes = read(archive, FIRST, folder="/a")
    rows = [asdict(intake) | {"folder": None} for intake in intakes]
    archive.upsert("files", pa.Table.from_pylist(rows, schema=SCHEMAS["files"]))
    ingest(archive, OTHER, folder="/b")
    reopen(archive, folder=folder_of(archive, Path("/a")), present=[])
    ingest(archive, OTHER, folder="/b")
    assert codes(archive) == ["uid_conflict", "uid_conflict"]
