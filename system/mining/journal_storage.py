"""The storage of a journal: numbered entries of a folder or a bucket, write-once and atomic; the first writer wins."""

from collections.abc import Iterable
from pathlib import Path
from typing import Protocol

from system.files.atomic import create
from system.files.bucket import check_conditional_put, get, names, put_new

_SUFFIX = ".arrow"


class Entries(Protocol):
    """Entries 0, 1, 2 and so on."""

    def put_new(self, number: int, data: bytes) -> bool:
        """Write an entry unless it is there, and return whether it was written; it then survives any crash."""
        ...

    def get(self, number: int) -> bytes:
        """Return an entry."""
        ...

    def numbers(self) -> list[int]:
        """Return the numbers of the entries that are there, rising."""
        ...


class BucketEntries:
    """Entries in a bucket."""

    def __init__(self, uri: str) -> None:
        """Open the entries. uri: s3://bucket/prefix. Raises UserError for a store without conditional put."""
        check_conditional_put(uri)
        self._uri = uri

    def put_new(self, number: int, data: bytes) -> bool:
        """Write an entry unless it is there, and return whether it was written."""
        return put_new(self._uri, f"{number:08d}{_SUFFIX}", data)

    def get(self, number: int) -> bytes:
        """Return an entry."""
        return get(self._uri, f"{number:08d}{_SUFFIX}")

    def numbers(self) -> list[int]:
        """Return the numbers of the entries that are there, rising."""
        return _numbers(names(self._uri))


class FolderEntries:
    """Entries in a folder."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        folder.mkdir(parents=True, exist_ok=True)

    def put_new(self, number: int, data: bytes) -> bool:
        """Write an entry unless it is there, and return whether it was written; it then survives any crash."""
        return create(self._path(number), data)

    def get(self, number: int) -> bytes:
        """Return an entry."""
        return self._path(number).read_bytes()

    def numbers(self) -> list[int]:
        """Return the numbers of the entries that are there, rising."""
        return _numbers(path.name for path in self._folder.glob(f"*{_SUFFIX}"))

    def _path(self, number: int) -> Path:
        return self._folder / f"{number:08d}{_SUFFIX}"


def _numbers(found: Iterable[str]) -> list[int]:
    stems = (name.removesuffix(_SUFFIX) for name in found if name.endswith(_SUFFIX))
    return sorted(int(stem) for stem in stems if stem.isdigit())
