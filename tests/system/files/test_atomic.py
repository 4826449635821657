"""Whole files or none, whatever fails, and however many write."""

import errno
import os
import resource
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from system.errors import MachineFault
from system.files import atomic
from system.files.atomic import PARTIAL, append_line, clear_partial, create, replacing, write_bytes, write_text


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Return a file that holds "old"."""
    found = tmp_path / "manifest.json"
    write_text(found, "old")
    return found


@pytest.fixture
def synced(monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """Return the paths that are synced to disk, in order."""
    found: list[Path] = []
    monkeypatch.setattr(atomic, "_sync", found.append)
    return found


def test_a_block_that_ends_puts_the_whole_file_in_its_place(path: Path) -> None:
    with replacing(path) as partial:
        partial.write_text("new")
        assert path.read_text() == "old"
        assert partial.parent == path.parent
        assert partial.name.endswith(PARTIAL)
    assert path.read_text() == "new"
    assert list(path.parent.iterdir()) == [path]


@pytest.mark.parametrize("error", [ValueError("a bad row"), KeyboardInterrupt()])
def test_a_block_that_raises_leaves_the_old_file_and_nothing_else(path: Path, error: BaseException) -> None:
    def fail() -> None:
        with replacing(path) as partial:
            partial.write_text("half")
            raise error

    with pytest.raises(type(error)):
        fail()
    assert path.read_text() == "old"
    assert list(path.parent.iterdir()) == [path]


def test_a_block_that_writes_nothing_leaves_the_old_file(path: Path) -> None:
    with pytest.raises(FileNotFoundError), replacing(path):
        pass
    assert path.read_text() == "old"
    assert list(path.parent.iterdir()) == [path]


def test_a_rename_that_fails_leaves_the_old_file_and_nothing_else(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(_self: Path, _target: Path) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(Path, "replace", fail)
        with pytest.raises(MachineFault, match=rf"no space is left on the storage \({path.parent}\): free space"):
            write_bytes(path, b"new")
    assert path.read_text() == "old"
    assert list(path.parent.iterdir()) == [path]


def test_a_write_that_fails_half_way_leaves_the_old_file(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(_file: int) -> None:
        raise OSError(errno.EIO, "Input/output error")

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", fail)
        with pytest.raises(MachineFault, match=rf"the storage failed to read or write \({path.parent}\)"):
            write_text(path, "new")
    assert path.read_text() == "old"
    write_text(path, "new")
    assert path.read_text() == "new"
    assert list(path.parent.iterdir()) == [path]


def test_the_file_is_synced_before_its_rename_and_the_folder_after(path: Path, synced: list[Path]) -> None:
    with replacing(path) as partial:
        partial.write_text("new")
    assert synced == [partial, path.parent]


def test_text_is_written_as_utf_8(path: Path) -> None:
    write_text(path, "左乳 é")
    assert path.read_bytes() == "左乳 é".encode()


def test_of_two_that_create_a_file_the_first_is_kept_and_the_second_gets_false(tmp_path: Path) -> None:
    path = tmp_path / "lease.json"
    assert create(path, b"first", mode=0o600)
    assert not create(path, b"second")
    assert path.read_bytes() == b"first"
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize(("mode", "bits"), [({}, 0o644), ({"mode": 0o600}, 0o600), ({"mode": 0o640}, 0o640)])
def test_a_created_file_has_its_permission_bits(tmp_path: Path, mode: dict[str, int], bits: int) -> None:
    umask = os.umask(0o022)
    try:
        assert create(tmp_path / "key", b"secret", **mode)
    finally:
        os.umask(umask)
    assert (tmp_path / "key").stat().st_mode & 0o777 == bits


def test_of_writers_at_once_one_is_first_and_its_whole_file_stays(tmp_path: Path) -> None:
    path, won = tmp_path / "entry", list[int]()
    together = threading.Barrier(8)

    def write(writer: int) -> None:
        together.wait()
        if create(path, b"%d" % writer * 10_000):
            won.append(writer)

    writers = [threading.Thread(target=write, args=(writer,)) for writer in range(8)]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()
    (winner,) = won
    assert path.read_bytes() == b"%d" % winner * 10_000
    assert list(tmp_path.iterdir()) == [path]


def test_a_created_file_is_synced_before_it_gets_its_name_and_the_folder_after(
    tmp_path: Path, synced: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    link: Callable[[Path, Path], None] = os.link

    def link_synced(source: Path, target: Path) -> None:
        assert synced == [source]
        link(source, target)

    monkeypatch.setattr(os, "link", link_synced)
    assert create(tmp_path / "entry", b"data")
    assert synced[1:] == [tmp_path]


def test_a_create_that_fails_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(_source: Path, _target: Path) -> None:
        raise OSError("operation not permitted")

    monkeypatch.setattr(os, "link", fail)
    with pytest.raises(OSError, match="not permitted"):
        create(tmp_path / "entry", b"data")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("mode", [0o600, 0o644])
def test_a_file_gets_its_permissions_before_it_is_seen(tmp_path: Path, mode: int) -> None:
    with replacing(tmp_path / "page", mode=mode) as partial:
        partial.write_text("new")
    assert (tmp_path / "page").stat().st_mode & 0o777 == mode


def test_a_private_file_is_private_from_its_first_byte(tmp_path: Path) -> None:
    with replacing(tmp_path / "page", mode=0o600) as partial, partial.open("w") as file:
        file.write("a report")
        file.flush()
        assert partial.stat().st_mode & 0o077 == 0


def test_partial_files_of_killed_processes_are_cleared_once_they_are_old(tmp_path: Path) -> None:
    (tmp_path / "pixels" / "ab").mkdir(parents=True)
    old, young, whole = (tmp_path / "pixels" / "ab" / name for name in (f"a{PARTIAL}", f"b{PARTIAL}", "c.png"))
    for path in (old, young, whole):
        path.write_bytes(b"half")
    for path in (old, whole):
        os.utime(path, (0, 0))
    clear_partial(tmp_path)
    assert sorted(path.name for path in old.parent.iterdir()) == [f"b{PARTIAL}", "c.png"]


def test_a_line_that_cannot_be_appended_leaves_the_lines_before_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "epochs.jsonl"
    append_line(path, "one\n")
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (6, hard))
    try:
        with pytest.raises(MachineFault, match="no space is left on the storage"):
            append_line(path, "two is longer\n")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    append_line(path, "two\n")
    assert path.read_text() == "one\ntwo\n"
