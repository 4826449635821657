"""PGM and PNG files."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from system.imaging import ImageRefused, encode_png, plain, read_plain


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
    Image.new("RGB", (3, 3)).save(path)

    with pytest.raises(ImageRefused, match="not_gray"):
        read_plain(path)
