"""Read the size of compressed pixel data from its first bytes and compare it with the DICOM header before decoding.

Decoders trust the codestream and allocate the size that it declares; a size of 65535 x 65535 must not reach them, nor
a size that so few bytes cannot hold.
"""

import struct
from dataclasses import dataclass
from itertools import pairwise

from system.imaging.pixel_format import PixelFormat
from system.imaging.refused import ImageRefused

SOI, SOS, END_OF_IMAGE = 0xFFD8, 0xFFDA, b"\xff\xd9"  # END_OF_IMAGE is JPEG's EOI and JPEG 2000's EOC
# ITU-T T.81 table B.1: SOF0 to SOF15 without DHT, JPG and DAC; T.87: SOF55 of JPEG-LS
JPEG_FRAME_MARKERS = frozenset({*range(0xFFC0, 0xFFD0), 0xFFF7} - {0xFFC4, 0xFFC8, 0xFFCC})
# The kinds that the transfer syntaxes name. In the others (progressive, hierarchical, arithmetic), a scan that is
# missing leaves a blurred picture, and no decoder mentions it.
BASELINE, EXTENDED, LOSSLESS, JPEG_LS = 0xFFC0, 0xFFC1, 0xFFC3, 0xFFF7
NAMED_KINDS = frozenset({BASELINE, EXTENDED, LOSSLESS, JPEG_LS})
DCT_BLOCK = 8  # px a side
FIRST_MARKER, FILL = 0xFF00, 0xFFFF
MAX_JPEG_SEGMENTS = 1000  # before the frame header; real files have fewer than 30
SOC_SIZ = 0xFF4FFF51  # JPEG 2000 (T.800 A.5): SIZ follows SOC immediately
RLE_HEADER_BYTES = 64  # PS3.5 G.5
RLE_MAX_GAIN = 64  # two bytes stand for at most 128 (PS3.5 G.3.1)
TAIL_BYTES = 1024  # of the data's end, where the end marker is searched for: some writers add much padding


@dataclass(frozen=True, slots=True)
class Codestream:
    """The size that a codestream declares."""

    rows: int
    cols: int
    samples: int
    bits: int  # of a sample
    least_bits: int = 0  # of data, whatever the picture shows; 0 where nothing is known


def check_jpeg(frame: bytes, *, expected: PixelFormat) -> None:
    """Refuse JPEG and JPEG-LS data of another size than the header's.

    Raises ImageRefused: pixel_size, transfer_syntax, truncated.
    """
    found = _jpeg_header(frame)
    # the decoder's words are as wide as the codestream's samples, in whole bytes: 12 bits become 16
    _check(found, expected=expected, bits_fit=-(-found.bits // 8) * 8 == expected.bits_allocated)
    _check_end(frame)
    if len(frame) * 8 < found.least_bits:
        raise ImageRefused(
            "truncated", f"{len(frame)} bytes of JPEG data cannot hold the header's {found.cols}x{found.rows} px"
        )


def check_jpeg2000(frame: bytes, *, expected: PixelFormat) -> None:
    """Refuse JPEG 2000 and HTJ2K data of another size than the header's.

    Raises ImageRefused: pixel_size, transfer_syntax, truncated.
    """
    found = _jpeg2000_header(frame)
    _check(found, expected=expected, bits_fit=found.bits <= expected.bits_allocated)
    _check_end(frame)


def check_rle(frame: bytes, *, expected: PixelFormat) -> None:
    """Refuse RLE data (PS3.5 G) that cannot hold the header's picture. Raises ImageRefused: pixel_size, truncated."""
    if len(frame) < RLE_HEADER_BYTES:
        raise ImageRefused("truncated", "the RLE data ends within its header")
    count, *offsets = struct.unpack_from("<16I", frame)
    if count != expected.bits_allocated // 8:
        raise ImageRefused(
            "pixel_size",
            f"the RLE data has {count} segments, words of {expected.bits_allocated} bits need one per byte",
        )
    edges = [*offsets[:count], len(frame)]
    sizes = [end - start for start, end in pairwise(edges)]
    if edges[0] != RLE_HEADER_BYTES or min(sizes) < 0:
        raise ImageRefused("truncated", "the RLE segments do not follow each other within the data")
    if min(sizes) * RLE_MAX_GAIN < expected.rows * expected.cols:
        raise ImageRefused(
            "truncated",
            f"an RLE segment of {min(sizes)} bytes cannot hold the header's {expected.cols}x{expected.rows} px",
        )


def _jpeg_header(frame: bytes) -> Codestream:
    """Return the size in the frame header (SOF)."""
    if struct.unpack_from(">H", frame)[0] != SOI:
        raise ImageRefused("transfer_syntax", "the pixel data does not begin as JPEG, which the transfer syntax names")
    place = 2
    for _ in range(MAX_JPEG_SEGMENTS):
        marker, length = struct.unpack_from(">HH", frame, place)
        if marker in JPEG_FRAME_MARKERS:
            if marker not in NAMED_KINDS:
                raise ImageRefused(
                    "transfer_syntax", f"the JPEG data is of kind SOF{marker & 15}, which no transfer syntax names"
                )
            bits, rows, cols, samples = struct.unpack_from(">BHHB", frame, place + 4)
            return Codestream(rows, cols, samples, bits, least_bits=_least_bits(marker, rows=rows, cols=cols))
        if marker == SOS or marker < FIRST_MARKER:
            break
        place += 1 if marker == FILL else 2 + length
    raise ImageRefused("truncated", "the JPEG data has no frame header (SOF)")


def _least_bits(marker: int, *, rows: int, cols: int) -> int:
    """Return the bits without which no picture of the size can be coded; 0 where there is no such limit.

    A Huffman code has one bit at least: a pixel has one code in lossless JPEG, a block two in baseline and extended.
    """
    if marker == LOSSLESS:
        return rows * cols
    return 0 if marker == JPEG_LS else 2 * -(-rows // DCT_BLOCK) * -(-cols // DCT_BLOCK)


def _jpeg2000_header(frame: bytes) -> Codestream:
    """Return the size in the SIZ segment (T.800 A.5.1)."""
    if struct.unpack_from(">I", frame)[0] != SOC_SIZ:
        raise ImageRefused(
            "transfer_syntax", "the pixel data does not begin as JPEG 2000, which the transfer syntax names"
        )
    # after SOC, SIZ, Lsiz and Rsiz: Xsiz, Ysiz, XOsiz, YOsiz; four numbers of the tiles; Csiz; three bytes of the first
    # component
    right, bottom, left, top = struct.unpack_from(">4I", frame, 8)
    samples, depth, step_across, step_down = struct.unpack_from(">HBBB", frame, 40)
    if (step_across, step_down) != (1, 1):
        raise ImageRefused("pixel_size", "the JPEG 2000 data is subsampled, expected one sample per pixel")
    return Codestream(bottom - top, right - left, samples, (depth & 0x7F) + 1)


def _check(found: Codestream, *, expected: PixelFormat, bits_fit: bool) -> None:
    if (found.rows, found.cols, found.samples) != (expected.rows, expected.cols, 1) or not bits_fit:
        raise ImageRefused(
            "pixel_size",
            f"the codestream is {found.cols}x{found.rows} px of {found.samples} x {found.bits} bits, "
            f"the header has {expected.cols}x{expected.rows} px of 1 x {expected.bits_allocated} bits",
        )


def _check_end(frame: bytes) -> None:
    if frame.find(END_OF_IMAGE, max(0, len(frame) - TAIL_BYTES)) < 0:
        raise ImageRefused("truncated", "the codestream has no end marker")
