"""Wrong sizes in the headers of compressed data are found before a decoder gets them."""

import struct
from collections.abc import Callable

import pytest

from system.imaging import ImageRefused
from system.imaging.codestream import check_jpeg, check_jpeg2000, check_rle
from system.imaging.pixel_format import PixelFormat

EXPECTED = PixelFormat(
    rows=64, cols=48, bits_allocated=16, bits_stored=12, high_bit=11, is_signed=False, is_monochrome1=False
)


def jpeg(
    rows: int = 64,
    cols: int = 48,
    *,
    samples: int = 1,
    bits: int = 12,
    marker: int = 0xFFC3,
    before: bytes = b"\xff\xe0\0\4ab",
    data: int = 400,
    end: bytes = b"\xff\xd9",
) -> bytes:
    frame_header = struct.pack(">HHBHHB", marker, 8 + 3 * samples, bits, rows, cols, samples) + bytes(3 * samples)
    return b"\xff\xd8" + before + frame_header + b"\xff\xda\0\2" + bytes(data) + end


def jpeg2000(
    rows: int = 64,
    cols: int = 48,
    *,
    samples: int = 1,
    bits: int = 12,
    offset: int = 0,
    step: int = 1,
    end: bytes = b"\xff\xd9",
) -> bytes:
    size = (cols + offset, rows + offset, offset, offset)
    siz = struct.pack(">HHH8IH", 0xFF51, 38 + 3 * samples, 0, *size, cols, rows, 0, 0, samples)
    return b"\xff\x4f" + siz + bytes([bits - 1, step, step]) * samples + b"data" + end


def rle(*sizes: int, count: int | None = None) -> bytes:
    offsets, place = [], 64
    for size in sizes:
        offsets.append(place)
        place += size
    header = struct.pack("<16I", len(sizes) if count is None else count, *offsets, *[0] * (15 - len(sizes)))
    return header + bytes(sum(sizes))


def code_of(check: Callable[..., None], frame: bytes) -> str:
    with pytest.raises(ImageRefused) as refused:
        check(frame, expected=EXPECTED)
    return refused.value.code


@pytest.mark.parametrize("marker", [0xFFC0, 0xFFC1, 0xFFC3, 0xFFF7])
def test_jpeg_data_of_the_headers_size_passes(marker: int) -> None:
    padded = jpeg(marker=marker, bits=16, before=b"\xff\xff\xfe\0\5abc", end=b"\xff\xd9" + bytes(9))

    assert check_jpeg(jpeg(marker=marker), expected=EXPECTED) is None
    assert check_jpeg(padded, expected=EXPECTED) is None


@pytest.mark.parametrize(
    ("frame", "code"),
    [
        (jpeg(65535, 65535), "pixel_size"),
        (jpeg(marker=0xFFC3, data=300), "truncated"),  # 64 x 48 px have one bit each at least: 384 bytes
        (jpeg(marker=0xFFC1, data=0, before=b"", end=b""), "truncated"),
        (jpeg(marker=0xFFC2), "transfer_syntax"),  # progressive
        (jpeg(marker=0xFFC9), "transfer_syntax"),  # arithmetic
        (jpeg(cols=47), "pixel_size"),
        (jpeg(samples=3), "pixel_size"),
        (jpeg(bits=8), "pixel_size"),
        (jpeg(rows=0), "pixel_size"),
        (jpeg(end=b""), "truncated"),
        (jpeg(before=b"\xff\xda\0\2"), "truncated"),
        (jpeg(before=b"abcd"), "truncated"),
        (jpeg(before=b"\xff\xe0\0\2" * 2000), "truncated"),
        (jpeg2000(), "transfer_syntax"),
    ],
)
def test_jpeg_data_that_cannot_be_the_headers_picture_is_refused(frame: bytes, code: str) -> None:
    assert code_of(check_jpeg, frame) == code


def test_jpeg_2000_data_of_the_headers_size_passes() -> None:
    assert check_jpeg2000(jpeg2000(), expected=EXPECTED) is None
    assert check_jpeg2000(jpeg2000(offset=5, bits=8), expected=EXPECTED) is None


@pytest.mark.parametrize(
    ("frame", "code"),
    [
        (jpeg2000(65535, 65535), "pixel_size"),
        (jpeg2000(rows=63), "pixel_size"),
        (jpeg2000(samples=3), "pixel_size"),
        (jpeg2000(bits=17), "pixel_size"),
        (jpeg2000(step=2), "pixel_size"),
        (jpeg2000(end=b""), "truncated"),
        (jpeg(), "transfer_syntax"),
    ],
)
def test_jpeg_2000_data_that_cannot_be_the_headers_picture_is_refused(frame: bytes, code: str) -> None:
    assert code_of(check_jpeg2000, frame) == code


def test_rle_data_that_can_hold_the_headers_picture_passes() -> None:
    assert check_rle(rle(48, 48), expected=EXPECTED) is None  # 64 x 48 bytes in pairs that stand for 128 each: 24 pairs


@pytest.mark.parametrize(
    ("frame", "code"),
    [
        (rle(48, 47), "truncated"),
        (rle(100), "pixel_size"),
        (rle(100, 100, 100), "pixel_size"),
        (rle(100, 100)[:63], "truncated"),
        (rle(100, 100)[:150], "truncated"),
    ],
)
def test_rle_data_that_cannot_be_the_headers_picture_is_refused(frame: bytes, code: str) -> None:
    assert code_of(check_rle, frame) == code
