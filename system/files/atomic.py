"""Write files so that other processes see the old file or the whole new one, also after a power cut."""

import logging
import os
import time
import uuid
from collections.abc import Generator
from contextlib import contextmanager, suppress
from pathlib import Path

from system.faults import storage

log = logging.getLogger(__name__)
PARTIAL = ".part"  # ending of a file that is still being written
PARTIAL_AGE_S = 24 * 3600.0  # a partial file that has not grown for so long has no writer any more
PLAIN, PRIVATE = 0o644, 0o600  # permission bits; private: what quotes reports or names patients' studies


@contextmanager
def replacing(path: Path, *, mode: int = PLAIN) -> Generator[Path]:
    """Give a path beside `path` to write to; at the end of the block that file, synced to disk, becomes `path`.

    Several writers may do so at once: each has a name of its own, and the last one's file stays. A block that raises
    leaves the old file and nothing else. Raises MachineFault, naming the folder, for what the storage does.

    mode: permission bits of the new file
    """
    partial = path.with_name(f"{path.name}.{uuid.uuid4().hex}{PARTIAL}")
    with storage(path.parent):
        try:
            if mode != PLAIN:
                partial.touch(mode)
            yield partial
            sync_file(partial)
            partial.replace(path)
        except BaseException:
            _drop(partial)
            raise
        sync_folder(path.parent)


def write_bytes(path: Path, data: bytes, *, mode: int = PLAIN) -> None:
    """Write a whole file, over one that is there. mode: permission bits."""
    with replacing(path, mode=mode) as partial:
        partial.write_bytes(data)


def write_text(path: Path, text: str, *, mode: int = PLAIN) -> None:
    """Write a whole file as UTF-8, over one that is there. mode: permission bits."""
    write_bytes(path, text.encode("utf8"), mode=mode)


def create(path: Path, data: bytes, *, mode: int = PLAIN) -> bool:
    """Write a whole file unless one is there, and return whether it was written: of several writers, one is first.

    It is written under another name, synced, then linked to its own, which fails where that is taken. Raises
    MachineFault, naming the folder, for what the storage does.

    mode: permission bits
    """
    partial = path.with_name(f"{path.name}.{uuid.uuid4().hex}{PARTIAL}")
    with storage(path.parent):
        try:
            with os.fdopen(os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode), "wb") as file:
                file.write(data)
            sync_file(partial)
            os.link(partial, path)
        except FileExistsError:
            return False
        finally:
            _drop(partial)
        sync_folder(path.parent)
    return True


def append_line(path: Path, line: str) -> None:
    """Append a line, or leave the file as it was. line: with its end. Raises MachineFault for what the storage does."""
    left = line.encode("utf8")
    with storage(path.parent), path.open("ab", buffering=0) as file:  # a buffer would be written once more at the end
        before = file.tell()
        try:
            while left:
                left = left[file.write(left) :]
        except OSError:
            file.truncate(before)
            raise


def clear_partial(folder: Path) -> None:
    """Remove the partial files below a folder that a killed process left, a day after they were last written."""
    for path in folder.rglob(f"*{PARTIAL}"):
        with suppress(OSError):
            if time.time() - path.stat().st_mtime > PARTIAL_AGE_S:
                path.unlink()
                log.info("removed %s, left half written by a process that is gone", path.name)


def _drop(partial: Path) -> None:
    """Remove a partial file; where even that fails, the error that came first is the one to see."""
    with suppress(OSError):
        partial.unlink(missing_ok=True)


def sync_file(path: Path) -> None:
    """Bring a file's content to disk."""
    _sync(path)


def sync_folder(folder: Path) -> None:
    """Make a new name in a folder survive a power cut."""
    _sync(folder)


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
