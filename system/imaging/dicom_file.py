"""Parse a DICOM file (PS3.10) within limits of memory: the header first, the pixel data only on demand.

pydicom parses but sets no limits: a deflated file is inflated here, up to a cap, and a file without DICM is refused.
"""

import io
import logging
import math
import os
import warnings
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import BinaryIO

from pydicom.config import disable_value_validation
from pydicom.dataset import Dataset
from pydicom.filereader import read_dataset
from pydicom.multival import MultiValue
from pydicom.uid import UID, DeflatedExplicitVRLittleEndian, ExplicitVRBigEndian, ImplicitVRLittleEndian

from system.faults import raise_fault
from system.imaging.refused import ImageRefused

FIRST_PIXEL_TAG, PIXEL_DATA_TAG = 0x7FE00008, 0x7FE00010  # Float Pixel Data, Pixel Data
UNDEFINED_LENGTH = 0xFFFFFFFF
PREAMBLE_BYTES = 128
_CONVERT = "convert it to PNG without loss, and list it in views.csv"
_RENAME = "name it .png or .pgm, and list it in views.csv"
OTHER_FORMATS = {  # first bytes -> what the file is, and what to do
    b"\xff\xd8\xff": ("the file is a JPEG picture", _CONVERT),
    b"II*\0": ("the file is a TIFF picture", _CONVERT),
    b"MM\0*": ("the file is a TIFF picture", _CONVERT),
    b"BM": ("the file is a BMP picture", _CONVERT),
    b"\x89PNG": ("the file is a PNG picture", _RENAME),
    b"P5": ("the file is a PGM picture", _RENAME),
    b"%PDF": ("the file is a PDF", "give the pictures as DICOM or PNG"),
    b"PK\3\4": ("the file is a ZIP archive", "unpack it"),
    b"\x1f\x8b": ("the file is compressed by gzip", "unpack it"),
}
_LAST_GROUP_OF_META = 2


@dataclass(frozen=True, slots=True)
class DicomFile:
    """A file whose header is parsed; values stay bytes until they are read."""

    header: Dataset  # all before the pixel data
    syntax: UID  # Transfer Syntax UID (0002,0010)
    has_pixels: bool  # Pixel Data (7FE0,0010) follows the header
    stream: BinaryIO  # at the pixel data

    def pixel_data(self) -> bytes:
        """Return the value of Pixel Data (7FE0,0010) as it is in the file.

        Raises ImageRefused: no_pixels, truncated.
        """
        if not self.has_pixels:
            raise ImageRefused("no_pixels", "there is no Pixel Data (7FE0,0010)")
        found = _read(self.stream, syntax=self.syntax, end=PIXEL_DATA_TAG + 1)
        if PIXEL_DATA_TAG not in found:  # pydicom returns nothing when the last fragment has no end
            raise ImageRefused("truncated", "the pixel data has no end")
        element = found.get_item(PIXEL_DATA_TAG)
        value = element.value or b""
        if not isinstance(value, bytes):
            raise ImageRefused("truncated", "the pixel data does not match its header")
        if _is_cut(element):
            raise ImageRefused("truncated", "the file ends within the pixel data")
        return value


@contextmanager
def careful_reading() -> Iterator[None]:
    """Turn every error of a broken file into ImageRefused truncated, and silence pydicom's warnings and log.

    Many real headers break rules of length, and both the warnings and the errors quote their values: patient data.
    """
    logger = logging.getLogger("pydicom")
    was_disabled, logger.disabled = logger.disabled, True
    try:
        with warnings.catch_warnings(), disable_value_validation():
            warnings.simplefilter("ignore")
            yield
    except (ImageRefused, MemoryError):
        raise
    except Exception as error:  # a broken file can fail anywhere in parser and decoders
        raise_fault(error)
        raise ImageRefused("truncated", f"the file cannot be parsed ({type(error).__name__})") from None
    finally:
        logger.disabled = was_disabled


@contextmanager
def header_values() -> Iterator[None]:
    """Turn every error of a value that is not of its element's kind into ImageRefused unreadable.

    pydicom converts a value when it is read: such a file is whole, and one of its values is wrong.
    """
    try:
        yield
    except (ImageRefused, MemoryError):
        raise
    except Exception as error:
        raise ImageRefused(
            "unreadable", f"a value of the header is not of its element's kind ({type(error).__name__})"
        ) from None


def parse_header(file: BinaryIO, *, max_file_bytes: int, max_inflated_bytes: int) -> DicomFile:
    """Return the file with its header parsed.

    Raises ImageRefused: too_large, not_dicom, transfer_syntax (the file declares none), truncated.
    """
    size = os.fstat(file.fileno()).st_size
    if size > max_file_bytes:
        raise ImageRefused("too_large", f"the file has {size} bytes, at most {max_file_bytes} are read")
    beginning = file.read(PREAMBLE_BYTES + 4)
    if beginning[PREAMBLE_BYTES:] != b"DICM":
        found = next((words for start, words in OTHER_FORMATS.items() if beginning.startswith(start)), None)
        raise ImageRefused("not_dicom", ": ".join(found or ("the file has no DICM after its preamble",)))
    meta = read_dataset(
        file,
        is_implicit_VR=False,
        is_little_endian=True,
        stop_when=lambda tag, _vr, _length: tag >> 16 > _LAST_GROUP_OF_META,
    )
    syntax = UID(text_of(meta, "TransferSyntaxUID"))
    if not syntax:
        raise ImageRefused("transfer_syntax", "Transfer Syntax UID (0002,0010) is missing or empty")
    if syntax == ExplicitVRBigEndian:  # nothing after this is read as it is meant
        raise ImageRefused("transfer_syntax", "the file is big endian (retired in 2006), which is not read")
    stream = _inflated(file, max_bytes=max_inflated_bytes) if syntax == DeflatedExplicitVRLittleEndian else file
    header = _read(stream, syntax=syntax, end=FIRST_PIXEL_TAG)
    if not header or any(_is_cut(element) for element in header.elements()):
        raise ImageRefused("truncated", "the file ends within its header")
    return DicomFile(header, syntax, has_pixels=_next_tag(stream) == PIXEL_DATA_TAG, stream=stream)


def text_of(dataset: Dataset, keyword: str) -> str:
    """Return an element's text, stripped; empty when absent."""
    return str(dataset.get(keyword) or "").strip()


def number_of(dataset: Dataset, keyword: str) -> float | None:
    """Return an element's first value as a finite number; None where it is absent, empty or no number."""
    try:
        value = dataset.get(keyword)
        number = float(str(value[0] if isinstance(value, MultiValue) else value))
    except (ValueError, IndexError):  # pydicom converts when a value is read
        return None
    return number if math.isfinite(number) else None


def _read(stream: BinaryIO, *, syntax: UID, end: int) -> Dataset:
    """Return the elements before the tag `end`; the stream is then at the next one."""
    return read_dataset(stream, syntax == ImplicitVRLittleEndian, True, stop_when=lambda tag, _vr, _length: tag >= end)


def _inflated(file: BinaryIO, *, max_bytes: int) -> BinaryIO:
    """Return the rest of a deflated file (PS3.5 A.5: raw deflate, RFC 1951), inflated up to a cap."""
    inflater = zlib.decompressobj(-zlib.MAX_WBITS)
    inflated = inflater.decompress(file.read(), max_bytes + 1)
    if len(inflated) > max_bytes:
        raise ImageRefused("too_large", f"the deflated file inflates to more than {max_bytes} bytes")
    if not inflater.eof:
        raise ImageRefused("truncated", "the deflated data has no end")
    return io.BytesIO(inflated)


def _next_tag(stream: BinaryIO) -> int:
    """Return the tag at the stream's position, 0 at its end; the position stays. Every syntax here is little endian."""
    group_and_element = stream.read(4)
    stream.seek(-len(group_and_element), os.SEEK_CUR)
    return int.from_bytes(group_and_element[:2], "little") << 16 | int.from_bytes(group_and_element[2:], "little")


def _is_cut(element: object) -> bool:
    """Return whether a raw element has fewer bytes than its length."""
    length, value = getattr(element, "length", UNDEFINED_LENGTH), getattr(element, "value", None)
    return length != UNDEFINED_LENGTH and len(value or b"") < length
