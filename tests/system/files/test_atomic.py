"""Whole files or none, whatever fails, and however many write."""

import os
from pathlib import Path

import pytest

from system.files.atomic import create, write_text


def test_a_write_that_fails_half_way_leaves_the_old_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "manifest.json"
    write_text(path, "old")

    def fail(_file: int) -> None:
        raise OSError("input/output error")

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", fail)
        with pytest.raises(OSError, match="input/output"):
            write_text(path, "new")
    assert path.read_text() == "old"
    write_text(path, "new")
    assert path.read_text() == "new"
    assert [child.name for child in tmp_path.iterdir()] == ["manifest.json"]


def test_of_two_that_create_a_file_the_first_is_kept_and_the_second_told(tmp_path: Path) -> None:
    path = tmp_path / "lease.json"
    assert create(path, b"first", mode=0o600)
    assert not create(path, b"second")
    assert path.read_bytes() == b"first"
    assert path.stat().st_mode & 0o777 == 0o600
    assert list(tmp_path.iterdir()) == [path]
