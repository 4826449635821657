"""Whether a PNG holds all of its rows: decoders fill what is missing with zeros, without a word."""

import struct
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

SIGNATURE = b"\x89PNG\r\n\x1a\n"
_CHANNELS = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}  # by colour type
_ADAM7 = (
    (0, 0, 8, 8),
    (4, 0, 8, 8),
    (0, 4, 4, 8),
    (2, 0, 4, 4),
    (0, 2, 2, 4),
    (1, 0, 2, 2),
    (0, 1, 1, 2),
)  # x, y, dx, dy
_AT_ONCE = 1 << 20  # bytes inflated into memory


def missing_bytes(path: Path) -> int:
    """Return how many bytes of pixels a PNG lacks; 0 for a whole one, and for a file that is no PNG.

    The image data is inflated and counted, never kept. Raises zlib.error or struct.error for a broken file.
    """
    with path.open("rb") as file:
        if file.read(len(SIGNATURE)) != SIGNATURE:
            return 0
        chunks = _chunks(file)
        kind, header = next(chunks)
        if kind != b"IHDR":
            raise struct.error("the file does not begin with its header")
        wanted = _expected_bytes(header)
        return max(0, wanted - _inflated_bytes(chunks, limit=wanted))


def _chunks(file: BinaryIO) -> Iterator[tuple[bytes, bytes]]:
    """Give kind and content of each chunk up to the end marker."""
    while True:
        length, kind = struct.unpack(">I4s", file.read(8))
        yield kind, file.read(length)
        file.read(4)  # its checksum, which the decoder compares
        if kind == b"IEND":
            return


def _expected_bytes(header: bytes) -> int:
    """Return the bytes of all scan lines, each with its filter's byte (PNG specification, 4.5 and 7)."""
    width, height, depth, colour, _, _, interlaced = struct.unpack(">IIBBBBB", header)
    bits = depth * _CHANNELS[colour]
    if not interlaced:
        return height * (1 + -(-width * bits // 8))
    sizes = ((-(-(width - x) // dx), -(-(height - y) // dy)) for x, y, dx, dy in _ADAM7)
    return sum(rows * (1 + -(-cols * bits // 8)) for cols, rows in sizes if cols > 0 and rows > 0)


def _inflated_bytes(chunks: Iterator[tuple[bytes, bytes]], *, limit: int) -> int:
    """Return how many bytes the image data inflates to; counted as far as `limit`."""
    inflate, count = zlib.decompressobj(), 0
    for kind, content in chunks:
        left = content if kind == b"IDAT" else b""
        while left and count < limit and not inflate.eof:
            count += len(inflate.decompress(left, _AT_ONCE))
            left = inflate.unconsumed_tail
    while count < limit and not inflate.eof and (more := len(inflate.decompress(b"", _AT_ONCE))):
        count += more
    return count
