"""The archive as a whole: creating, opening, pinning, ids."""

import errno
import json
import shutil
import stat
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from system.archive import Archive, store
from system.archive.tables import SCHEMAS
from system.errors import MachineFault, UserError
from system.imaging import ImagingConfig

SMALL = ImagingConfig(height_px=64, width_px=32)
KEY = bytes(range(32))


def label(study: str = "s1", p_mass: float = 0.5) -> pa.Table:
    return pa.table({"study_id": [study], "side": ["L"], "p_mass": [p_mass], "model": ["m"], "report_version": [1]})


def test_an_archive_is_found_again_with_its_imaging_config(tmp_path: Path) -> None:
    Archive.create(tmp_path / "archive", imaging=SMALL)

    assert Archive.open(tmp_path / "archive").imaging == SMALL


def test_creating_twice_keeps_key_and_ids(tmp_path: Path) -> None:
    first = Archive.create(tmp_path, imaging=SMALL).identifier("patient", "P1")

    assert Archive.create(tmp_path, imaging=SMALL).identifier("patient", "P1") == first


def test_another_size_of_view_is_refused(tmp_path: Path) -> None:
    Archive.create(tmp_path, imaging=SMALL)

    with pytest.raises(UserError, match="height_px=64"):
        Archive.create(tmp_path, imaging=ImagingConfig(height_px=128, width_px=96))


def test_another_key_is_refused(tmp_path: Path) -> None:
    Archive.create(tmp_path, imaging=SMALL)

    with pytest.raises(UserError, match="another site key"):
        Archive.create(tmp_path, imaging=SMALL, site_key=KEY)


def test_a_missing_archive_is_refused_with_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="ingest into it first"):
        Archive.open(tmp_path)


def test_an_archive_of_another_schema_is_refused(tmp_path: Path) -> None:
    Archive.create(tmp_path, imaging=SMALL)
    path = tmp_path / "archive.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"schema_version": 99}))

    with pytest.raises(UserError, match="has schema 99, this is schema 1"):
        Archive.open(tmp_path)


def test_an_archive_of_a_size_that_no_network_takes_is_refused(tmp_path: Path) -> None:
    Archive.create(tmp_path, imaging=SMALL)
    path = tmp_path / "archive.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"imaging": {"height_px": 1000, "width_px": 800}}))

    with pytest.raises(UserError, match=r"the archive keeps views that no network can take .*992 or 1024"):
        Archive.open(tmp_path)


@pytest.mark.parametrize("length", [0, 3, 31, 33, 64])
def test_a_site_key_of_another_length_is_refused_and_left_as_it_is(tmp_path: Path, length: int) -> None:
    key = bytes(range(length))
    (tmp_path / "site.key").write_bytes(key)
    with pytest.raises(UserError, match=rf"site\.key: a site key has 32 bytes, found {length}"):
        Archive.create(tmp_path, imaging=SMALL)
    assert (tmp_path / "site.key").read_bytes() == key


@pytest.mark.parametrize("text", ["", "[]", "null", "{", '{"schema_version": 1}', '"x"', "\\xff"])
def test_a_description_that_was_damaged_is_refused_with_what_to_do(tmp_path: Path, text: str) -> None:
    Archive.create(tmp_path, imaging=SMALL)
    (tmp_path / "archive.json").write_text(text)
    with pytest.raises(UserError, match=r"archive\.json is not what was written .*: restore it"):
        Archive.open(tmp_path)


def test_the_site_key_is_readable_by_its_owner_only_and_two_archives_have_different_ones(tmp_path: Path) -> None:
    one, two = (Archive.create(tmp_path / name, imaging=SMALL) for name in "ab")

    assert stat.S_IMODE((tmp_path / "a" / "site.key").stat().st_mode) == 0o600
    assert one.identifier("patient", "P1") != two.identifier("patient", "P1")


def test_an_id_is_the_keyed_hash_of_kind_and_raw_id(tmp_path: Path) -> None:
    archive = Archive.create(tmp_path, imaging=SMALL, site_key=KEY)

    # printf 'patient:P1' | openssl dgst -sha256 -mac HMAC -macopt hexkey:000102…1f
    assert archive.identifier("patient", "P1") == "d2f23bf540b5d67daceb6038"
    assert archive.identifier("study", "P1") != archive.identifier("patient", "P1")


def test_a_replaced_site_key_is_noticed(tmp_path: Path) -> None:
    archive = Archive.create(tmp_path, imaging=SMALL)
    (tmp_path / "site.key").write_bytes(KEY)

    with pytest.raises(UserError, match="not the key this archive was made with"):
        archive.identifier("patient", "P1")


def test_an_absent_table_reads_empty_and_has_no_version(tmp_path: Path) -> None:
    archive = Archive.create(tmp_path, imaging=SMALL)

    assert archive.table("labels").num_rows == 0
    assert archive.table("labels", columns=["p_mass"]).schema.names == ["p_mass"]
    assert archive.versions() == {}


def test_an_unknown_table_is_refused_with_the_known_ones(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"no table 'lables': the archive has \['files', 'images', 'labels'"):
        Archive.create(tmp_path, imaging=SMALL).table("lables")


def test_a_pinned_archive_does_not_see_what_came_later(tmp_path: Path) -> None:
    archive = Archive.create(tmp_path, imaging=SMALL)
    archive.upsert("labels", label(p_mass=0.25))
    pinned = archive.pinned(archive.versions())

    archive.upsert("labels", label(p_mass=0.75))
    columns = ("entry", "at", "event", "model", "by", "why", "lineage")
    archive.upsert("models", pa.table({name: ["x"] for name in columns}))

    assert pinned.table("labels")["p_mass"].to_pylist() == [0.25]
    assert pinned.table("models").num_rows == 0
    assert archive.table("labels")["p_mass"].to_pylist() == [0.75]
    assert set(pinned.versions()) == {"labels"}


def test_a_pinned_archive_is_not_written_to(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="pinned"):
        Archive.create(tmp_path, imaging=SMALL).pinned({}).upsert("labels", label())


def test_pixels_come_back_as_they_went_in(tmp_path: Path) -> None:
    archive = Archive.create(tmp_path, imaging=SMALL)
    view = np.random.default_rng(0).integers(0, 65536, (64, 48)).astype(np.uint16)

    np.testing.assert_array_equal(archive.pixels(archive.put_pixels(view)), view)


def test_a_relative_path_is_made_absolute_for_workers_in_other_folders(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Archive.create("here", imaging=SMALL)
    monkeypatch.chdir("/")
    assert Archive.open(tmp_path / "here").uri == (tmp_path / "here").as_posix()
    monkeypatch.chdir(tmp_path)
    assert Archive.open("here").uri == (tmp_path / "here").as_posix()


def test_jobs_that_start_one_archive_at_the_same_time_share_its_key(tmp_path: Path) -> None:
    def create(_: int) -> str:
        archive = Archive.create(tmp_path / "new", imaging=SMALL)
        return archive.identifier("patient", "P1")

    for attempt in range(20):
        with ThreadPoolExecutor(8) as pool:
            ids = set(pool.map(create, range(8)))
        assert len(ids) == 1, f"attempt {attempt}: {len(ids)} keys"
        assert sorted(path.name for path in (tmp_path / "new").iterdir()) == ["archive.json", "site.key"]
        shutil.rmtree(tmp_path / "new")


def test_the_table_of_reports_is_for_its_owner_only(tmp_path: Path) -> None:
    archive = Archive.create(tmp_path, imaging=SMALL)
    for name in ("reports", "labels"):
        row = dict.fromkeys(SCHEMAS[name].names) | {"study_id": "s", "version": 1, "side": "L"}
        row = {column: row[column] for column in SCHEMAS[name].names}
        archive.upsert(name, pa.Table.from_pylist([row], schema=SCHEMAS[name]))
    assert (tmp_path / "tables" / "reports").stat().st_mode & 0o077 == 0
    assert archive.table("reports").num_rows == 1


@pytest.mark.parametrize("what", ["archive.json", "site.key"])
def test_an_archive_that_may_not_be_read_is_the_machines_fault(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, what: str
) -> None:
    def refuse(*_: object, **__: object) -> bytes:
        raise PermissionError(errno.EACCES, "Permission denied")

    archive = Archive.create(tmp_path, imaging=SMALL, site_key=bytes(32))
    if what == "site.key":
        monkeypatch.setattr(Path, "read_bytes", refuse)
        with pytest.raises(MachineFault, match=r"does not permit it \(site\.key of the archive\)"):
            archive.identifier("patient", "P1")
    else:
        monkeypatch.setattr(store, "_description", refuse)
        with pytest.raises(MachineFault, match=rf"does not permit it \(archive {tmp_path}\)"):
            Archive.open(tmp_path)
