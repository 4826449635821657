"""Keep every message the miner has accepted on the run's storage, so that a restarted miner stands where the lost one stood.

One entry per message, written whole under the next free number (entries.py). Whoever finds that number taken is no longer the run's only
miner and stops: two miners can never both go on.
"""

import io
import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pyarrow as pa

from system.errors import UserError
from system.mining.journal_storage import Entries
from system.mining.label_updates import LabelUpdate, UpdateSource
from system.mining.pools import Columns, Shard

SCHEMA_VERSION = 3
_COLUMNS = {
    "shard": ("image_key", "p_mass", "score", "has_mask"),
    "update": ("image_key", "p_mass", "order", "masked"),
    "claim": (),
}
_FACTS = b"mammoloop"  # key of the entry's facts in the metadata of its schema


@dataclass(frozen=True, slots=True)
class Claim:
    """A driver has taken the run over: from here on every earlier one is refused."""

    driver: int  # from 1, one more than the last

    def digest(self) -> str:
        """Return what tells it from another."""
        return str(self.driver)


Message = Shard | LabelUpdate | Claim


class Superseded(UserError):
    """Another miner, or another driver, has taken over."""


class Journal:
    """An append-only journal with one writer: the miner of a run."""

    def __init__(self, entries: Entries) -> None:
        """entries: of this journal alone."""
        self._entries = entries
        self._length = 0  # entries read or written by this journal

    def append(self, message: Message) -> None:
        """Make a message survive any crash from here on. Raises Superseded where another miner has written since."""
        if not self._entries.put_new(self._length, _packed(message)):
            raise Superseded(
                f"journal entry {self._length} was written by another miner: this one is not the run's any more; start the run again, once"
            )
        self._length += 1

    def replay(self) -> Iterator[Message]:
        """Give the messages in the order they were accepted, and stand at the end. Raises ValueError for a hole or a damaged entry."""
        numbers = self._entries.numbers()
        if numbers != list(range(len(numbers))):
            missing = next(number for number, found in enumerate(numbers) if number != found)
            raise UserError(
                f"journal entry {missing} of {numbers[-1] + 1} is missing: restore it, or remove the run's miner folder"
            )
        for number in numbers:
            yield _unpacked(self._entries.get(number), number=number)
        self._length = len(numbers)


def _packed(message: Message) -> bytes:
    """Return a message as an Arrow IPC file whose metadata say what the columns are not."""
    facts: dict[str, Any] = {"schema": SCHEMA_VERSION, "digest": message.digest()}
    match message:
        case Shard():
            kind, arrays = "shard", message.columns.arrays()
            facts |= {
                "round": message.round,
                "shard": message.shard,
                "attempt": message.attempt,
                "predictions_file": message.predictions_file,
            }
        case LabelUpdate():
            kind, arrays = "update", message.arrays()
            facts |= {"round": message.round, "of": message.source}
        case Claim():
            kind, arrays = "claim", ()
            facts |= {"driver": message.driver}
    table = pa.table(dict(zip(_COLUMNS[kind], arrays, strict=True)))
    table = table.replace_schema_metadata({_FACTS: json.dumps(facts | {"kind": kind})})
    buffer = io.BytesIO()
    with pa.ipc.new_file(buffer, table.schema) as writer:
        writer.write_table(table)
    return buffer.getvalue()


def _unpacked(data: bytes, *, number: int) -> Message:
    try:
        table = pa.ipc.open_file(pa.BufferReader(data)).read_all()
        facts = json.loads((table.schema.metadata or {})[_FACTS])
    except (pa.ArrowInvalid, KeyError, ValueError) as error:
        raise _damaged(number) from error
    if facts["schema"] != SCHEMA_VERSION:
        raise UserError(
            f"journal entry {number} has schema {facts['schema']}, this is schema {SCHEMA_VERSION}: read it with the version that wrote it"
        )
    arrays = [table.column(name).to_numpy().copy() for name in _COLUMNS[facts["kind"]]]
    match facts["kind"]:
        case "shard":
            message: Message = Shard(
                facts["round"], facts["shard"], facts["attempt"], facts["predictions_file"], Columns(*arrays)
            )
        case "update":
            message = LabelUpdate(UpdateSource(facts["of"]), facts["round"], *arrays)
        case _:
            message = Claim(facts["driver"])
    if message.digest() != facts["digest"]:
        raise _damaged(number)
    return message


def _damaged(number: int) -> UserError:
    return UserError(f"journal entry {number} is not what was written: restore it, or remove the run's miner folder")
