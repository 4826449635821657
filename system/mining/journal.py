"""Keep every accepted shard on the run's storage, so that a restarted miner stands where the lost one stood.

A shard's columns are written first (`shards/*.arrow`, temp + fsync + rename), then one line in `journal.jsonl` (fsync).
A line is what makes a shard count; one torn by a crash is cut off, its sender was never answered and offers again.
"""

import json
import logging
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa

from system.mining.pools import Columns, Shard

log = logging.getLogger(__name__)

SCHEMA_VERSION = 1
_SHARD = pa.schema([("image_key", pa.int64()), ("y", pa.float32()), ("score", pa.float32()), ("has_mask", pa.bool_())])


class Journal:
    """An append-only journal with one writer: the miner of a run."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._path = folder / "journal.jsonl"
        (folder / "shards").mkdir(parents=True, exist_ok=True)

    def append(self, shard: Shard) -> None:
        """Make a shard survive any crash from here on."""
        name = f"shards/round_{shard.round:02d}_shard_{shard.shard:05d}_attempt_{shard.attempt:03d}.arrow"
        columns = shard.columns
        arrays = [pa.array(array) for array in columns.arrays()]
        write_whole(self._folder / name, lambda file: _write_table(file, pa.Table.from_arrays(arrays, schema=_SHARD)))
        entry = {"schema": SCHEMA_VERSION, "kind": "shard", "round": shard.round, "shard": shard.shard, "attempt": shard.attempt}
        entry |= {"file": name, "rows": len(columns), "source": shard.source, "digest": shard.digest()}
        self._append_line(json.dumps(entry))

    def replay(self) -> Iterator[Shard]:
        """Give the shards in the order they were accepted, after cutting off a torn last line."""
        for number, entry in enumerate(self._entries(), start=1):
            if entry.get("schema") != SCHEMA_VERSION or entry.get("kind") != "shard":
                raise ValueError(
                    f"journal line {number} is {entry.get('kind')!r} of schema {entry.get('schema')}, this is schema {SCHEMA_VERSION}: "
                    "read it with the version that wrote it"
                )
            shard = self._read(entry)
            if shard.digest() != entry["digest"]:
                raise ValueError(f"{entry['file']} is not what journal line {number} recorded: restore it or remove the miner folder")
            yield shard

    def _read(self, entry: dict[str, Any]) -> Shard:
        with pa.memory_map(str(self._folder / entry["file"])) as source:
            table = pa.ipc.open_file(source).read_all()
            columns = Columns(*(table.column(name).to_numpy().copy() for name in _SHARD.names))
        return Shard(entry["round"], entry["shard"], entry["attempt"], entry["source"], columns)

    def _entries(self) -> list[dict[str, Any]]:
        if not self._path.exists():
            return []
        lines = self._path.read_bytes().splitlines(keepends=True)
        entries = [_parse(line) for line in lines]
        if entries and entries[-1] is None:
            log.warning("journal: cut off a torn last line of %d bytes", len(lines[-1]))
            os.truncate(self._path, sum(map(len, lines[:-1])))
            entries.pop()
        for number, entry in enumerate(entries, start=1):
            if entry is None:
                raise ValueError(f"journal line {number} of {len(lines)} cannot be read: restore the file or remove the miner folder")
        return [entry for entry in entries if entry is not None]

    def _append_line(self, line: str) -> None:
        with self._path.open("ab") as file:
            file.write(line.encode() + b"\n")
            file.flush()
            os.fsync(file.fileno())
        _sync_folder(self._folder)


def write_whole(path: Path, write: Callable[[pa.OSFile], None]) -> None:
    """Write a file so that under its name there is nothing or the whole of it, also after a power cut."""
    temporary = path.with_name(path.name + ".part")
    with pa.OSFile(str(temporary), "wb") as file:
        write(file)
    with temporary.open("rb") as written:
        os.fsync(written.fileno())
    temporary.replace(path)
    _sync_folder(path.parent)


def _write_table(file: pa.OSFile, table: pa.Table) -> None:
    with pa.ipc.new_file(file, table.schema) as writer:
        writer.write_table(table)


def _parse(line: bytes) -> dict[str, Any] | None:
    if not line.endswith(b"\n"):
        return None
    try:
        return json.loads(line)
    except ValueError:
        return None


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
