"""TensorBoard's files of events, read back."""

import struct
from collections.abc import Iterator
from pathlib import Path

from tensorboardX.proto.event_pb2 import Event  # type: ignore[attr-defined]
from tensorboardX.proto.summary_pb2 import Summary  # type: ignore[attr-defined]


def scalars(folder: Path) -> dict[tuple[str, int], float]:
    """Return what TensorBoard would draw of a folder: (tag, step) -> value."""
    found = {}
    for path in events_of(folder):
        found |= scalars_of(path)
    return found


def events_of(folder: Path) -> list[Path]:
    """Return the files of events, one of each process that wrote, by the time of their beginning."""
    return sorted(folder.glob("events.*"))


def scalars_of(path: Path) -> dict[tuple[str, int], float]:
    """Return the numbers of one file."""
    return {(value.tag, step): value.simple_value for step, value in _values(path) if value.HasField("simple_value")}


def pictures(folder: Path) -> dict[tuple[str, int], bytes]:
    """Return the pictures of a folder, as PNG."""
    return {
        (value.tag, step): value.image.encoded_image_string
        for path in events_of(folder)
        for step, value in _values(path)
        if value.HasField("image")
    }


def _values(path: Path) -> "Iterator[tuple[int, Summary.Value]]":
    """Give a file's values with their steps.

    A record is its length in 8 bytes, 4 of checksum, the event, 4 of checksum.
    """
    content, start = path.read_bytes(), 0
    while start < len(content):
        (length,) = struct.unpack_from("<Q", content, start)
        event = Event.FromString(content[start + 12 : start + 12 + length])
        yield from ((event.step, value) for value in event.summary.value)
        start += 16 + length
