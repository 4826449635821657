"""Write files so that other processes see the old file or the whole new one, also after a power cut."""

import os
import uuid
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

PARTIAL = ".part"  # ending of a file that is still being written


@contextmanager
def replacing(path: Path) -> Generator[Path]:
    """Give a path beside `path` to write to; at the end of the block that file, synced to disk, becomes `path`.

    Several writers may do so at once: each has a name of its own, and the last one's file stays. A block that raises
    leaves the old file and nothing else.
    """
    partial = path.with_name(f"{path.name}.{uuid.uuid4().hex}{PARTIAL}")
    try:
        yield partial
        sync_file(partial)
        partial.replace(path)
    except BaseException:
        partial.unlink(missing_ok=True)
        raise
    sync_folder(path.parent)


def write_bytes(path: Path, data: bytes) -> None:
    """Write a whole file, over one that is there."""
    with replacing(path) as partial:
        partial.write_bytes(data)


def write_text(path: Path, text: str) -> None:
    """Write a whole file as UTF-8, over one that is there."""
    write_bytes(path, text.encode("utf8"))


def create(path: Path, data: bytes, *, mode: int = 0o644) -> bool:
    """Write a whole file unless one is there, and return whether it was written: of several writers, one is first.

    It is written under another name, synced, then linked to its own, which fails where that is taken.

    mode: permission bits
    """
    partial = path.with_name(f"{path.name}.{uuid.uuid4().hex}{PARTIAL}")
    try:
        with os.fdopen(os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode), "wb") as file:
            file.write(data)
        sync_file(partial)
        os.link(partial, path)
    except FileExistsError:
        return False
    finally:
        partial.unlink(missing_ok=True)
    sync_folder(path.parent)
    return True


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
