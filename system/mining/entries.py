"""Numbered entries of a folder, each written once and whole by whoever is first: what a journal is made of."""

import os
import uuid
from contextlib import suppress
from pathlib import Path

_SUFFIX = ".arrow"


class Entries:
    """Entries 0, 1, 2 and so on."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        folder.mkdir(parents=True, exist_ok=True)

    def put_new(self, number: int, data: bytes) -> bool:
        """Write an entry unless it is there, and return whether it was written; it then survives any crash.

        Written aside, synced, then linked to its name, which fails where the name is taken.
        """
        temporary = self._folder / f"{uuid.uuid4().hex}.part"
        with temporary.open("xb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        try:
            os.link(temporary, self._path(number))
        except FileExistsError:
            return False
        finally:
            temporary.unlink()
        sync_folder(self._folder)
        return True

    def get(self, number: int) -> bytes:
        """Return an entry."""
        return self._path(number).read_bytes()

    def numbers(self) -> list[int]:
        """Return the numbers of the entries that are there, rising."""
        found = []
        for path in self._folder.glob(f"*{_SUFFIX}"):
            with suppress(ValueError):
                found.append(int(path.stem))
        return sorted(found)

    def _path(self, number: int) -> Path:
        return self._folder / f"{number:08d}{_SUFFIX}"


def sync_folder(folder: Path) -> None:
    """Make a new name in a folder survive a power cut."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
