"""Read a PGM or PNG, the formats of public film collections and of masks: gray, or colour that shows only gray."""

import struct
import warnings
import zlib
from pathlib import Path

import numpy as np
from PIL import Image, UnidentifiedImageError

from system.faults import raise_fault
from system.imaging.decoder_messages import refused_on_message
from system.imaging.png_whole import missing_bytes
from system.imaging.refused import ImageRefused

MAX_PIXELS = 60_000_000  # the largest digitised film that we know of has 50 million
_GRAY_MODES = ("1", "L", "I", "I;16", "I;16B")
_COLOUR_MODES = ("RGB", "RGBA", "P", "PA", "LA")
_PALETTE = "P"  # each pixel is the number of a colour


def read_plain(path: Path) -> np.ndarray:
    """Return the pixels of a PGM or PNG: [rows, cols] uint8 or uint16, unchanged; of three equal channels, one.

    Raises ImageRefused: too_large (by the header, before decoding), not_gray, truncated, not_image.
    """
    pixels, mode = _decoded(path)
    if mode in _GRAY_MODES:
        return pixels
    with Image.open(path, formats=["PPM", "PNG"]) as image:
        red, green, blue, alpha = np.moveaxis(np.array(image.convert("RGBA")), -1, 0)
    if not (np.array_equal(red, green) and np.array_equal(red, blue) and (alpha == alpha.flat[0]).all()):
        raise ImageRefused("not_gray", "the picture is in colour, expected one gray channel, or three equal ones")
    return red


def read_mask(path: Path) -> np.ndarray:
    """Return a mask: [rows, cols] bool, set where the picture is above 0.

    Of a palette, as annotation programs write it, where the colour is not the first one.

    Raises ImageRefused as `read_plain`; the reason says that it is the mask, not the image.
    """
    try:
        pixels, mode = _decoded(path)
        return (pixels if mode == _PALETTE else read_plain(path)) > 0
    except ImageRefused as refused:
        raise ImageRefused(refused.code, f"its mask: {refused.detail}") from None


def _decoded(path: Path) -> tuple[np.ndarray, str]:
    """Return the pixels of a whole PGM or PNG as they are stored, and Pillow's name of their kind."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)  # the size is compared here
            image = Image.open(path, formats=["PPM", "PNG"])
        with image:
            if image.width * image.height > MAX_PIXELS:
                raise ImageRefused("too_large", f"{image.width}x{image.height} px, at most {MAX_PIXELS} px are read")
            mode = image.mode
            if mode not in (*_GRAY_MODES, *_COLOUR_MODES):
                raise ImageRefused("not_gray", "the picture is of no kind that is read, expected one gray channel")
            with refused_on_message():
                pixels = np.array(image)
        if missing := missing_bytes(path):
            raise ImageRefused("truncated", f"{missing} bytes of its pixels are missing")
    except UnidentifiedImageError:
        raise ImageRefused("not_image", "neither PGM nor PNG") from None
    except Image.DecompressionBombError:
        raise ImageRefused("too_large", f"at most {MAX_PIXELS} px are read") from None
    except (OSError, ValueError, SyntaxError, struct.error, zlib.error) as error:
        if isinstance(error, ImageRefused):
            raise
        raise_fault(error)
        if "too large" in str(error):  # Pillow's limits of text and colour profiles that inflate without end
            raise ImageRefused("too_large", "a part of the PNG beside its pixels inflates without end") from None
        raise ImageRefused("truncated", f"the image data cannot be read ({type(error).__name__})") from None
    return (pixels.astype(np.uint8) if pixels.dtype in (np.uint8, np.bool_) else pixels.astype(np.uint16)), mode
