"""Read a gray PGM or PNG, the formats of public film collections and of masks."""

import struct
import zlib
from pathlib import Path

import numpy as np
from PIL import Image, UnidentifiedImageError

from system.faults import raise_fault
from system.imaging.png_whole import missing_bytes
from system.imaging.refused import ImageRefused

MAX_PIXELS = 60_000_000  # the largest digitised film that we know of has 50 million
_GRAY_MODES = ("1", "L", "I", "I;16", "I;16B")


def read_plain(path: Path) -> np.ndarray:
    """Return the pixels of a gray PGM or PNG, unchanged: [rows, cols] uint8 or uint16.

    Raises ImageRefused: too_large (by the header, before decoding), not_gray, truncated, not_image.
    """
    try:
        with Image.open(path, formats=["PPM", "PNG"]) as image:
            if image.width * image.height > MAX_PIXELS:
                raise ImageRefused("too_large", f"{image.width}x{image.height} px, at most {MAX_PIXELS} px are read")
            if image.mode not in _GRAY_MODES:
                raise ImageRefused("not_gray", f"mode {image.mode}, expected one gray channel")
            pixels = np.array(image)
        if missing := missing_bytes(path):
            raise ImageRefused("truncated", f"{missing} bytes of its pixels are missing")
    except UnidentifiedImageError:
        raise ImageRefused("not_image", "neither PGM nor PNG") from None
    except (OSError, ValueError, SyntaxError, struct.error, zlib.error) as error:
        if isinstance(error, ImageRefused):
            raise
        raise_fault(error)
        raise ImageRefused("truncated", f"the image data cannot be read ({type(error).__name__})") from None
    return pixels.astype(np.uint8) if pixels.dtype in (np.uint8, np.bool_) else pixels.astype(np.uint16)
