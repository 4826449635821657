"""`mammoloop quarantine` as a user calls it, without Ray."""

from dataclasses import asdict
from pathlib import Path

import pyarrow as pa
import pytest

from system.archive import Archive
from system.archive.intake import Intake, folder_of, source_of
from system.archive.layouts import SourceItem
from system.archive.tables import SCHEMAS
from system.imaging import ImagingConfig
from tests.pipelines.cli.calling import Mammoloop


@pytest.fixture
def archive(tmp_path: Path) -> str:
    archive = Archive.create(str(tmp_path), imaging=ImagingConfig(height_px=64, width_px=32))
    rows = [("a", "view", "XCCL"), ("b", "view", "XCCL"), ("c", "view", "FB"), ("d", "truncated", "")]
    archive.upsert(
        "quarantine", pa.Table.from_pylist([dict(zip(("source", "code", "detail"), row, strict=True)) for row in rows])
    )
    return archive.uri


@pytest.fixture
def source(tmp_path: Path) -> Path:
    folder = tmp_path / "dump"
    folder.mkdir()
    for name in ("a.dcm", "=cmd.dcm", "c.dcm"):
        (folder / name).write_bytes(b"")
    return folder


def hold(archive: Archive, source: Path, **codes: str) -> None:
    """Quarantine files of a folder, by their name without its ending."""
    sources = {name: source_of(archive, source, SourceItem(f"{name}.dcm")) for name in codes}
    held = [{"source": sources[name], "code": code, "detail": "d"} for name, code in codes.items()]
    archive.upsert("quarantine", pa.Table.from_pylist(held, schema=SCHEMAS["quarantine"]))
    rows = [asdict(Intake(sources[name], "stamp", folder_of(archive, source))) for name in codes]
    archive.upsert("files", pa.Table.from_pylist(rows, schema=SCHEMAS["files"]))


def test_with_the_folder_at_hand_files_are_named_and_nothing_is_stored(
    archive: str, source: Path, mammoloop: Mammoloop
) -> None:
    hold(Archive.open(archive), source, **{"=cmd": "view", "c": "timeout"})
    before = Archive.open(archive).versions()
    done = mammoloop("quarantine", "list", "--archive", archive, "--source", str(source), "--csv")
    assert (done.code, done.out) == (0, "file,code,detail\n'=cmd.dcm,view,d\nc.dcm,timeout,d\n")
    done = mammoloop("quarantine", "list", "--archive", archive, "--source", str(source), "--code", "timeout")
    assert "c.dcm" in done.out
    assert "cmd" not in done.out
    assert Archive.open(archive).versions() == before
    assert "c.dcm" not in str(Archive.open(archive).table("quarantine").to_pydict())


def test_names_need_their_folder_and_a_code_that_is_known(archive: str, source: Path, mammoloop: Mammoloop) -> None:
    done = mammoloop("quarantine", "list", "--archive", archive, "--csv")
    assert (done.code, "--source" in done.err) == (2, True)
    done = mammoloop("quarantine", "list", "--archive", archive, "--source", str(source), "--code", "wiew")
    assert (done.code, "nothing is quarantined under code 'wiew': the archive has truncated" in done.err) == (
        2,
        True,
    )


def test_a_retry_of_an_unknown_code_or_of_another_folder_is_refused_before_anything_starts(
    archive: str, source: Path, mammoloop: Mammoloop
) -> None:
    words = ("quarantine", "retry", "--archive", archive, "--source", str(source), "--code")
    done = mammoloop(*words, "wiew")
    assert done.code == 2
    assert "nothing is quarantined under code 'wiew': the archive has truncated, view" in done.err
    done = mammoloop(*words, "view")
    assert done.code == 2
    assert "none of the 3 files under code view is of this folder, read as layout dicom" in done.err
