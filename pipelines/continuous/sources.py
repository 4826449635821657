"""Where new files come from: folders, and prefixes of a bucket, of which a copy is kept."""

import hashlib
import os
from dataclasses import dataclass
from pathlib import Path
from time import time

from pyarrow import fs

from system.errors import UserError
from system.faults import storage
from system.files.atomic import replacing


@dataclass(frozen=True)
class Seen:
    """A source as it was last taken in."""

    signature: str
    at_s: float  # when, seconds since 1970


def signature(folder: Path, *, settle_s: float) -> str:
    """Return a digest of the names, sizes and times of a folder's settled files, "" where it has none.

    Hidden files do not count.

    settle_s: a file that was changed later than so many seconds ago is not there yet

    Raises UserError where there is no folder.
    """
    if not folder.is_dir():
        raise UserError(f"there is no source folder {folder}: mount it, or take it out of the watcher's --source")
    latest_s = time() - settle_s
    digest, anything = hashlib.sha256(), False
    with storage(folder):
        for path in sorted(folder.rglob("*")):
            if path.name.startswith(".") or not path.is_file():
                continue
            found = path.stat()
            if found.st_mtime <= latest_s:
                line = f"{path.relative_to(folder)}\0{found.st_size}\0{found.st_mtime_ns}\n"
                digest.update(line.encode("utf8", "surrogateescape"))
                anything = True
    return digest.hexdigest() if anything else ""


def fetch(source: str, copies: Path) -> Path:
    """Return the folder of a source: a folder is its own; of a bucket's prefix what is new is copied first.

    source: a folder, or s3://bucket/prefix
    copies: folder under which copies are kept, each with the time of its object

    Raises MachineFault for what the storage does.
    """
    if "://" not in source:
        return Path(source)
    target = copies / hashlib.sha256(source.encode()).hexdigest()[:16]
    target.mkdir(parents=True, exist_ok=True)
    with storage(source):
        files, root = fs.FileSystem.from_uri(source)
        root = root.rstrip("/")
        for info in files.get_file_info(fs.FileSelector(root, recursive=True)):
            if info.type is fs.FileType.File:
                _copy(files, info, target / info.path.removeprefix(f"{root}/"))
    return target


def _copy(files: fs.FileSystem, info: fs.FileInfo, path: Path) -> None:
    """Copy an object unless its copy has its size and time."""
    at_ns = info.mtime_ns or 0
    if path.exists() and (path.stat().st_size, path.stat().st_mtime_ns) == (info.size, at_ns):
        return
    if ".." in path.parts:
        raise UserError("an object's name leads out of its prefix: take it away")
    path.parent.mkdir(parents=True, exist_ok=True)
    with replacing(path) as partial, files.open_input_stream(info.path) as stream, partial.open("wb") as copy:
        while block := stream.read(1 << 20):
            copy.write(block)
    os.utime(path, ns=(at_ns, at_ns))
