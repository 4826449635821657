"""Burn a side marker into the air beside a breast, as on film."""

import numpy as np

GLYPHS = {  # 5 columns x 7 rows, most significant bit at the left
    "L": (16, 16, 16, 16, 16, 16, 31),
    "R": (30, 17, 17, 30, 20, 18, 17),
    "C": (14, 17, 16, 16, 16, 17, 14),
    "M": (17, 27, 21, 21, 17, 17, 17),
    "O": (14, 17, 17, 17, 17, 17, 14),
    " ": (0, 0, 0, 0, 0, 0, 0),
}
BRIGHTNESS = 0.95  # share of full scale


def add_marker(image: np.ndarray, *, text: str, at_right: bool) -> None:
    """Write a text such as RMLO into a corner of image [H, W] float32, in place; never mirrored, so always readable.

    The upper corner, else the lower one. Nothing is written where the breast, brighter than 0, leaves no room.

    at_right: at the image's right edge, else at its left
    """
    rows, cols = image.shape
    scale = max(1, rows // 200)
    letters = [_glyph(letter) for letter in f"{text[0]} {text[1:]}"]
    block = np.kron(np.concatenate(letters, axis=1), np.ones((scale, scale), bool))
    height, width = block.shape
    left = cols - width - cols // 30 if at_right else cols // 30
    for top in (rows // 40, rows - height - rows // 40):
        window = image[top : top + height, max(left, 0) : max(left, 0) + width]
        if window.shape == block.shape and not window.any():
            window[block] = BRIGHTNESS
            return


def _glyph(letter: str) -> np.ndarray:
    """Return a letter and the gap after it, [7, 6] bool."""
    return np.array([[(row << 1) >> bit & 1 for bit in range(5, -1, -1)] for row in GLYPHS[letter]], bool)
