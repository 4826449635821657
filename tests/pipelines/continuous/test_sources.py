"""What counts as new in a source: settled files by name, size and time; a prefix of a bucket is copied."""

import os
import time
from pathlib import Path

import pytest

from pipelines.continuous.sources import fetch, signature
from system.errors import UserError


def put(path: Path, text: str = "x", *, age_s: float = 100.0) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    at_s = time.time() - age_s
    os.utime(path, (at_s, at_s))


def test_new_changed_moved_and_removed_files_change_it(tmp_path: Path) -> None:
    put(tmp_path / "a.dcm", age_s=500)
    seen = [signature(tmp_path, settle_s=60)]
    put(tmp_path / "deep" / "b.dcm")
    seen.append(signature(tmp_path, settle_s=60))
    put(tmp_path / "a.dcm", "xy", age_s=500)
    seen.append(signature(tmp_path, settle_s=60))
    (tmp_path / "a.dcm").rename(tmp_path / "c.dcm")
    seen.append(signature(tmp_path, settle_s=60))
    (tmp_path / "c.dcm").unlink()
    seen.append(signature(tmp_path, settle_s=60))
    assert len(set(seen)) == 5
    assert signature(tmp_path, settle_s=60) == seen[-1]


def test_a_file_that_is_being_written_and_a_hidden_one_are_not_there_yet(tmp_path: Path) -> None:
    before = signature(tmp_path, settle_s=60)
    assert before == ""
    put(tmp_path / "a.dcm", age_s=30)
    put(tmp_path / ".b.dcm.part")
    assert signature(tmp_path, settle_s=60) == before
    assert signature(tmp_path, settle_s=0) != before


def test_a_source_that_is_gone_is_said(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="there is no source folder"):
        signature(tmp_path / "none", settle_s=0)


def test_a_folder_is_read_where_it_is(tmp_path: Path) -> None:
    assert fetch(str(tmp_path), tmp_path / "copies") == tmp_path
    assert not (tmp_path / "copies").exists()


def test_of_a_prefix_what_is_new_or_changed_is_copied(tmp_path: Path) -> None:
    bucket, copies = tmp_path / "bucket", tmp_path / "copies"
    put(bucket / "a.dcm", "first", age_s=500)
    put(bucket / "deep" / "b.dcm", "second", age_s=400)
    here = fetch(f"file://{bucket}", copies)
    found = {str(path.relative_to(here)): path.read_text() for path in here.rglob("*") if path.is_file()}
    assert found == {"a.dcm": "first", "deep/b.dcm": "second"}
    kept = (here / "a.dcm").stat()
    put(bucket / "deep" / "b.dcm", "changed", age_s=300)
    assert fetch(f"file://{bucket}", copies) == here
    assert (here / "deep" / "b.dcm").read_text() == "changed"
    assert (here / "a.dcm").stat().st_ctime_ns == kept.st_ctime_ns
    assert not list(here.rglob("*.part"))
