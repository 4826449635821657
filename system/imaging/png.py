"""Arrays as PNG bytes and back: the stored form of maps, masks and canonical pixels."""

import io

import numpy as np
from PIL import Image

COMPRESS_LEVEL = 1  # zlib: a third of level 6's time for a few per cent more bytes on mammograms


def encode_png(array: np.ndarray) -> bytes:
    """Return the PNG of a gray array; equal arrays give equal bytes.

    array: [H, W] uint8 or uint16

    Raises ValueError for another shape or dtype.
    """
    if array.ndim != 2 or array.dtype not in (np.uint8, np.uint16):
        raise ValueError(
            f"expected a gray [H, W] array of uint8 or uint16, found {array.dtype} {list(array.shape)}: convert it"
        )
    file = io.BytesIO()
    Image.fromarray(np.ascontiguousarray(array)).save(file, format="PNG", compress_level=COMPRESS_LEVEL)
    return file.getvalue()


def decode_png(png: bytes) -> np.ndarray:
    """Return the gray array of a PNG: [H, W], uint8 or uint16 as it was encoded. Raises ValueError for another mode."""
    with Image.open(io.BytesIO(png), formats=["PNG"]) as image:
        if image.mode not in ("L", "I;16"):
            raise ValueError(f"expected an 8 or 16 bit gray PNG, found mode {image.mode}: write it with encode_png")
        return np.array(image)
