"""PGM and PNG files."""

import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from system.imaging import ImageRefused, encode_png, plain, read_mask, read_plain


def test_a_pgm_gives_its_eight_bit_pixels(tmp_path: Path) -> None:
    path = tmp_path / "film.pgm"
    path.write_bytes(b"P5\n3 2\n255\n" + bytes([0, 1, 2, 3, 4, 255]))

    pixels = read_plain(path)

    assert pixels.dtype == np.uint8
    assert pixels.tolist() == [[0, 1, 2], [3, 4, 255]]


def test_a_png_of_sixteen_bits_keeps_them(tmp_path: Path) -> None:
    path = tmp_path / "film.png"
    path.write_bytes(encode_png(np.array([[0, 300], [65535, 1]], np.uint16)))

    assert read_plain(path).tolist() == [[0, 300], [65535, 1]]


@pytest.mark.parametrize(
    ("content", "code"),
    [(b"", "not_image"), (b"%PDF-1.4 not a picture", "not_image"), (b"P5\n30 20\n255\n" + bytes(7), "truncated")],
)
def test_a_file_without_a_whole_picture_is_refused(tmp_path: Path, content: bytes, code: str) -> None:
    path = tmp_path / "film.pgm"
    path.write_bytes(content)

    with pytest.raises(ImageRefused) as refused:
        read_plain(path)

    assert refused.value.code == code


def test_a_header_that_promises_too_much_is_refused_before_decoding(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(plain, "MAX_PIXELS", 100)
    path = tmp_path / "film.pgm"
    path.write_bytes(b"P5\n20 20\n255\n")

    with pytest.raises(ImageRefused, match="too_large: 20x20"):
        read_plain(path)


def test_a_colour_picture_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "film.png"
    Image.new("RGB", (3, 3), (1, 2, 3)).save(path)

    with pytest.raises(ImageRefused, match="not_gray"):
        read_plain(path)


@pytest.mark.parametrize("mode", ["RGB", "RGBA", "P", "LA"])
def test_colour_that_shows_only_gray_is_gray(tmp_path: Path, mode: str) -> None:
    gray = np.arange(48, dtype=np.uint8).reshape(6, 8) * 5
    Image.fromarray(gray).convert(mode).save(tmp_path / "film.png")

    np.testing.assert_array_equal(read_plain(tmp_path / "film.png"), gray)


@pytest.mark.parametrize("colour", [(1, 2, 2), (2, 2, 1), (2, 1, 2)])
def test_one_pixel_of_colour_makes_a_picture_one_in_colour(tmp_path: Path, colour: tuple[int, int, int]) -> None:
    picture = Image.new("RGB", (8, 6), (2, 2, 2))
    picture.putpixel((3, 4), colour)
    picture.save(tmp_path / "film.png")

    with pytest.raises(ImageRefused, match="not_gray: the picture is in colour"):
        read_plain(tmp_path / "film.png")


def test_a_picture_with_holes_is_not_gray(tmp_path: Path) -> None:
    picture = Image.new("RGBA", (8, 6), (2, 2, 2, 255))
    picture.putpixel((3, 4), (2, 2, 2, 0))
    picture.save(tmp_path / "film.png")

    with pytest.raises(ImageRefused, match="not_gray"):
        read_plain(tmp_path / "film.png")


def palette_mask(path: Path, colours: list[int]) -> np.ndarray:
    mask = np.zeros((6, 8), np.uint8)
    mask[2:4, 3:6] = 1
    picture = Image.fromarray(mask).convert("P")
    picture.putpalette(colours + [0] * (768 - len(colours)))
    picture.save(path)
    return mask > 0


@pytest.mark.parametrize("colours", [[0, 0, 0, 128, 0, 0], [255, 255, 255, 0, 0, 0], [0, 0, 0, 0, 0, 0]])
def test_a_palette_mask_is_read_by_the_numbers_of_its_colours(tmp_path: Path, colours: list[int]) -> None:
    mask = palette_mask(tmp_path / "m.png", colours)

    np.testing.assert_array_equal(read_mask(tmp_path / "m.png"), mask)


def test_a_mask_in_colour_or_broken_is_the_masks_fault(tmp_path: Path) -> None:
    Image.new("RGB", (8, 6), (255, 0, 0)).save(tmp_path / "m.png")
    (tmp_path / "n.png").write_bytes(b"no picture")

    with pytest.raises(ImageRefused, match=r"not_gray: its mask: the picture is in colour"):
        read_mask(tmp_path / "m.png")
    with pytest.raises(ImageRefused, match=r"not_image: its mask: "):
        read_mask(tmp_path / "n.png")


def chunk(kind: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))


def png_of(lines: bytes, *, width: int, height: int, depth: int = 8, interlaced: int = 0, pieces: int = 1) -> bytes:
    """Return a gray PNG with these scan lines, right in every checksum, its data in so many chunks."""
    header = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, depth, 0, 0, 0, interlaced))
    data = zlib.compress(lines)
    step = -(-len(data) // pieces)
    parts = b"".join(chunk(b"IDAT", data[at : at + step]) for at in range(0, len(data), step))
    return b"\x89PNG\r\n\x1a\n" + header + parts + chunk(b"IEND", b"")


# Scan lines of an 8 x 6 picture: plain, of 1 and of 16 bits, and in Adam7's seven passes.
WHOLE = {
    "8 bit": (6 * (1 + 8), {}),
    "1 bit": (6 * (1 + 1), {"depth": 1}),
    "16 bit": (6 * (1 + 16), {"depth": 16}),
    "three chunks": (6 * (1 + 8), {"pieces": 3}),
    "interlaced": (1 * 2 + 1 * 2 + 1 * 3 + 2 * 3 + 1 * 5 + 3 * 5 + 3 * 9, {"interlaced": 1}),
}


@pytest.mark.parametrize("name", WHOLE)
def test_a_png_that_lacks_rows_is_refused_though_every_checksum_is_right(tmp_path: Path, name: str) -> None:
    size, settings = WHOLE[name]
    path = tmp_path / "mask.png"
    path.write_bytes(png_of(bytes(size), width=8, height=6, **settings))
    assert read_plain(path).shape == (6, 8)
    for missing in (1, size // 2, size):
        path.write_bytes(png_of(bytes(size - missing), width=8, height=6, **settings))
        with pytest.raises(ImageRefused) as refused:
            read_plain(path)
        assert refused.value.code == "truncated"
