"""What was kept out, shown without Ray."""

from dataclasses import asdict
from io import StringIO
from pathlib import Path

import pyarrow as pa
import pytest
from rich.console import Console

from pipelines.tools.quarantine import Quarantined, retried, retry_of, run, table
from system.archive import Archive
from system.archive.intake import Intake, folder_of, source_of
from system.archive.layouts import SourceItem
from system.archive.tables import SCHEMAS
from system.errors import UserError
from system.imaging import ImagingConfig


@pytest.fixture
def archive(tmp_path: Path) -> str:
    archive = Archive.create(str(tmp_path), imaging=ImagingConfig(height_px=64, width_px=32))
    rows = [("a", "view", "XCCL"), ("b", "view", "XCCL"), ("c", "view", "FB"), ("d", "truncated", "")]
    archive.upsert(
        "quarantine", pa.Table.from_pylist([dict(zip(("source", "code", "detail"), row, strict=True)) for row in rows])
    )
    return archive.uri


def shown(found: Quarantined) -> list[list[str]]:
    text = StringIO()
    Console(width=100, file=text).print(table(found))
    return [line.split() for line in text.getvalue().splitlines()]


def test_each_reason_is_counted_the_most_frequent_first(archive: str) -> None:
    lines = shown(run(archive))

    assert lines == [["Quarantine,", "4", "files"], ["code", "files"], ["view", "3"], ["truncated", "1"]]


def test_one_reason_is_shown_by_its_details(archive: str) -> None:
    lines = shown(run(archive, code="view"))

    assert [line for line in lines if "view" in line] == [["view", "XCCL", "2"], ["view", "FB", "1"]]


def test_a_reason_that_holds_nothing_is_refused_with_those_that_do(archive: str) -> None:
    with pytest.raises(UserError, match=r"nothing is quarantined under code 'views': the archive has truncated, view$"):
        run(archive, code="views")


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


def test_a_retry_of_what_an_earlier_start_has_healed_goes_on_with_no_file(archive: str, source: Path) -> None:
    retry = retry_of(archive, source, layout="dicom", codes=["crash"])
    assert (retry.tried, retried(archive, retry)) == (frozenset(), "0 files tried, 0 healed")


def test_a_retry_counts_what_was_tried_healed_removed_and_is_still_out(archive: str, source: Path) -> None:
    opened = Archive.open(archive)
    hold(opened, source, a="timeout", c="uid_conflict", gone="uid_conflict")
    elsewhere = {"source": "other", "code": "uid_conflict", "detail": ""}
    opened.upsert("quarantine", pa.Table.from_pylist([elsewhere], schema=SCHEMAS["quarantine"]))
    retry = retry_of(archive, source, layout="dicom", codes=["timeout", "uid_conflict"])
    gone = source_of(opened, source, SourceItem("gone.dcm"))
    opened.remove("quarantine", [source_of(opened, source, SourceItem("c.dcm")), gone, "other"])
    assert retried(archive, retry) == (
        "3 files tried, 1 healed; 1 removed from the folder; 1 of other folders healed with them; 1 still timeout"
    )
