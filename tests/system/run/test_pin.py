"""Which archive a run reads: the same one moved or copied, and no other."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pytest
from deltalake import DeltaTable

from system.archive import Archive
from system.archive.tables import SCHEMAS
from system.errors import UserError
from system.imaging import ImagingConfig
from system.run.folder import RunFolder

KEY = bytes(range(32))


def make(folder: Path, *, key: bytes = KEY, image: str = "first") -> Archive:
    archive = Archive.create(folder, imaging=ImagingConfig(height_px=64, width_px=64), site_key=key)
    add(archive, image)
    return archive


def add(archive: Archive, image: str) -> None:
    row = dict.fromkeys(SCHEMAS["images"].names) | {"image_id": image, "image_key": len(image), "patient_id": "p"}
    archive.upsert("images", pa.Table.from_pylist([row], schema=SCHEMAS["images"]))


@pytest.fixture
def here(tmp_path: Path) -> Path:
    return tmp_path / "archive"


@pytest.fixture
def run(tmp_path: Path, here: Path) -> RunFolder:
    """Return a run that is pinned to an archive of one image."""
    made = RunFolder(tmp_path / "run_7")
    made.pin(make(here).uri)
    return made


def reads(run: RunFolder, uri: str) -> list[Callable[[], object]]:
    """Return every way in which a run's archive is opened."""
    return [lambda: run.archive(uri=uri), lambda: run.newest_archive(uri=uri), lambda: run.pin(uri)]


def images_of(archive: Archive) -> list[str]:
    return archive.table("images")["image_id"].to_pylist()


def test_an_archive_that_was_moved_is_read_where_it_lies_now(run: RunFolder, here: Path, tmp_path: Path) -> None:
    here.rename(tmp_path / "moved")
    assert images_of(run.archive(uri=str(tmp_path / "moved"))) == ["first"]


def test_a_copy_is_the_same_archive_also_when_it_has_grown_since(run: RunFolder, here: Path, tmp_path: Path) -> None:
    shutil.copytree(here, tmp_path / "copy")
    copy = Archive.open(tmp_path / "copy")
    add(copy, "later")
    assert images_of(run.archive(uri=copy.uri)) == ["first"]
    assert sorted(images_of(run.newest_archive(uri=copy.uri))) == ["first", "later"]


def test_a_compacted_archive_is_the_same_one(run: RunFolder, here: Path) -> None:
    archive = Archive.open(here)
    for number in range(25):
        add(archive, f"image {number}")
    archive.compact()
    assert images_of(run.archive()) == ["first"]


def test_an_archive_of_another_key_is_refused_with_both_fingerprints(run: RunFolder, tmp_path: Path) -> None:
    other = make(tmp_path / "other", key=KEY[::-1])
    expected = run.archive_pin.result().key_fingerprint
    for read in reads(run, other.uri):
        with pytest.raises(
            UserError,
            match=rf"run run_7 was begun on another archive than .*other \(their site keys differ: found "
            rf"{other.key_fingerprint}, expected {expected}\): name the archive it was begun on, or start a new run",
        ):
            read()


def test_another_archive_of_the_same_key_is_refused_with_both_ids(run: RunFolder, tmp_path: Path) -> None:
    other = make(tmp_path / "other")
    found, expected = (
        DeltaTable(f"{place}/tables/images").metadata().id for place in (other.uri, tmp_path / "archive")
    )
    for read in reads(run, other.uri):
        with pytest.raises(UserError, match=rf"images has id {found}, expected {expected}\): name the archive"):
            read()


def test_another_archive_at_the_same_place_is_refused(run: RunFolder, here: Path) -> None:
    shutil.rmtree(here)
    make(here)  # by the same key, with the same rows, at the same versions
    for read in reads(run, str(here)):
        with pytest.raises(UserError, match=r"their tables differ: images has id .*, expected "):
            read()


def test_a_table_of_another_archive_put_into_the_runs_own_is_refused(
    run: RunFolder, here: Path, tmp_path: Path
) -> None:
    make(tmp_path / "other")
    shutil.rmtree(here / "tables" / "images")
    shutil.copytree(tmp_path / "other" / "tables" / "images", here / "tables" / "images")
    with pytest.raises(UserError, match="their tables differ: images has id"):
        run.archive()


def test_an_archive_that_lost_a_table_is_refused(run: RunFolder, here: Path) -> None:
    shutil.rmtree(here / "tables" / "images")
    with pytest.raises(UserError, match="images has id none, expected "):
        run.archive()


def test_an_older_copy_of_the_archive_is_refused(tmp_path: Path) -> None:
    archive = make(tmp_path / "archive")
    shutil.copytree(archive.uri, tmp_path / "backup")
    add(archive, "later")
    run = RunFolder(tmp_path / "run_7")
    run.pin(archive.uri)
    with pytest.raises(UserError, match=r"table images is at version 1, the run reads version 2\): name the archive"):
        run.archive(uri=str(tmp_path / "backup"))


def test_a_run_that_was_pinned_before_ids_were_compares_key_and_versions(run: RunFolder, tmp_path: Path) -> None:
    manifest = run.archive_pin.folder / "manifest.json"
    kept = json.loads(manifest.read_text())
    del kept["result"]["table_ids"]
    manifest.write_text(json.dumps(kept))
    assert images_of(run.archive()) == ["first"]
    with pytest.raises(UserError, match="their site keys differ"):
        run.archive(uri=make(tmp_path / "other", key=KEY[::-1]).uri)
    Archive.create(tmp_path / "empty", imaging=ImagingConfig(height_px=64, width_px=64), site_key=KEY)
    with pytest.raises(UserError, match="table images is at version none, the run reads version 1"):
        run.archive(uri=str(tmp_path / "empty"))
