"""Keep every message that the miner accepted on the run's storage, so that a restarted miner has the lost one's state.

There is one entry per message, written whole under the next free number (journal_storage.py). A miner that finds this
number taken is no longer the only one of its run and stops, so that two miners never both go on.
"""

import io
import json
from collections.abc import Iterator
from dataclasses import dataclass

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
_HEADER = b"mammoloop"  # key of an entry's header in the metadata of its schema

Header = dict[str, int | str]
"""The fields of a message that are not columns, its kind, its digest and the schema; JSON in an entry's metadata."""


@dataclass(frozen=True, slots=True)
class Claim:
    """A driver has taken the run over: from here on every earlier one is refused."""

    driver: int  # from 1, one more than the last

    def digest(self) -> str:
        """Return a text that no other claim has."""
        return str(self.driver)


Message = Shard | LabelUpdate | Claim


class Superseded(UserError):
    """Another miner, or another driver, has taken over."""


class Journal:
    """An append-only journal with one writer: the miner of a run."""

    def __init__(self, entries: Entries) -> None:
        """Open a journal at its beginning; `replay` it before anything is appended. entries: of this journal alone."""
        self._entries = entries
        self._length = 0  # entries read or written by this journal

    def append(self, message: Message) -> None:
        """Make a message survive any crash from here on. Raises Superseded where another miner has written since."""
        if not self._entries.put_new(self._length, _packed(message)):
            raise Superseded(
                f"journal entry {self._length} was written by another miner: "
                "this one is not the run's any more; start the run again, once"
            )
        self._length += 1

    def replay(self) -> Iterator[Message]:
        """Give the messages in the order they were accepted; the next one is appended after the last.

        Raises UserError for a missing or damaged entry, and for one of another schema.
        """
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
    """Return a message as an Arrow IPC file: arrays as columns, everything else in the header."""
    header: Header = {"schema": SCHEMA_VERSION, "digest": message.digest()}
    match message:
        case Shard():
            kind, arrays = "shard", message.columns.arrays()
            header |= {
                "round": message.round,
                "shard": message.shard,
                "attempt": message.attempt,
                "predictions_file": message.predictions_file,
            }
        case LabelUpdate():
            kind, arrays = "update", message.arrays()
            header |= {"round": message.round, "source": message.source}
        case Claim():
            kind, arrays = "claim", ()
            header |= {"driver": message.driver}
    table = pa.table(dict(zip(_COLUMNS[kind], arrays, strict=True)))
    table = table.replace_schema_metadata({_HEADER: json.dumps(header | {"kind": kind})})
    buffer = io.BytesIO()
    with pa.ipc.new_file(buffer, table.schema) as writer:
        writer.write_table(table)
    return buffer.getvalue()


def _unpacked(data: bytes, *, number: int) -> Message:
    try:
        table = pa.ipc.open_file(pa.BufferReader(data)).read_all()
        header: Header = json.loads((table.schema.metadata or {})[_HEADER])
        if (found := header["schema"]) == SCHEMA_VERSION:
            message = _message(header, table)
            if message.digest() == header["digest"]:
                return message
    except (pa.ArrowException, LookupError, ValueError, TypeError, OverflowError, RecursionError, OSError) as error:
        raise _damaged(number) from error
    if found == SCHEMA_VERSION:
        raise _damaged(number)
    raise UserError(
        f"journal entry {number} has schema {found}, this is schema {SCHEMA_VERSION}: "
        "read it with the version that wrote it"
    )


def _message(header: Header, table: pa.Table) -> Message:
    kind = str(header["kind"])
    arrays = [table.column(name).to_numpy().copy() for name in _COLUMNS[kind]]
    match kind:
        case "shard":
            return Shard(
                round=int(header["round"]),
                shard=int(header["shard"]),
                attempt=int(header["attempt"]),
                predictions_file=str(header["predictions_file"]),
                columns=Columns(*arrays),
            )
        case "update":
            return LabelUpdate(UpdateSource(header["source"]), int(header["round"]), *arrays)
        case _:
            return Claim(int(header["driver"]))


def _damaged(number: int) -> UserError:
    return UserError(f"journal entry {number} is not what was written: restore it, or remove the run's miner folder")
