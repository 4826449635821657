"""What was kept out, shown without Ray."""

from io import StringIO
from pathlib import Path

import pyarrow as pa
import pytest
from rich.console import Console

from pipelines.tools.quarantine import Held, run, table
from system.archive import Archive
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


def shown(found: Held) -> list[list[str]]:
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
