"""A view as a person sees it: upright, 8 bits, the chest wall where it hangs, black outside the breast.

A right breast hangs with its chest wall on the picture's right, a left one on its left, whatever the file has. Every
picture has a `Geometry` of its own, from its pixels to those of the canonical view: by it an outline that was drawn on
the picture lies in the archive where it was drawn. Outside of the breast nothing of a source is shown, because names
are burnt in there.
"""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from pydantic import Field, model_validator

from system.imaging.breast import find_breast
from system.imaging.canonical import WINDOW_PERCENTILES, breast_on_source
from system.imaging.geometry import Geometry
from system.imaging.refused import ImageRefused
from system.records import Side
from system.settings import Settings

WHITE = 255
_EPSILON = 1e-6

Gray = NDArray[np.uint8]
"""[rows, cols]."""


class DisplayConfig(Settings):
    """How large and how bright pictures are."""

    longest_px: int = Field(default=2048, ge=64, le=16384)  # of the longer side; a smaller source is not enlarged
    low_percent: float = Field(default=WINDOW_PERCENTILES[0], ge=0, le=100)  # of the breast's pixels: these are black
    high_percent: float = Field(default=WINDOW_PERCENTILES[1], ge=0, le=100)  # of the breast's pixels: white from here

    @model_validator(mode="after")
    def _is_a_window(self) -> "DisplayConfig":
        if self.low_percent >= self.high_percent:
            raise ValueError(f"a window from {self.low_percent:g} to {self.high_percent:g} % is empty: give low, high")
        return self


@dataclass(frozen=True, slots=True)
class Picture:
    """What is shown of one view."""

    pixels: Gray  # 0 outside of the breast
    geometry: Geometry  # from these pixels, its source frame, to the canonical view
    from_source: bool  # read from the source file; False: the canonical view as the archive keeps it


def shown_source(pixels: np.ndarray, *, geometry: Geometry, side: Side, config: DisplayConfig) -> Gray:
    """Return the picture of a source image; `source_geometry` of the same values belongs to it.

    pixels: [rows, cols] any real dtype, as in the file, tissue bright
    geometry: of the file's view in the archive

    Raises ImageRefused: no_signal where no breast is seen, pixel_size where the file has another size than it had.
    """
    if pixels.shape != (geometry.source_rows, geometry.source_cols):
        found, expected = list(pixels.shape), [geometry.source_rows, geometry.source_cols]
        raise ImageRefused("pixel_size", f"the file has {found} px, the archive's image was taken from {expected}")
    upright = np.ascontiguousarray(geometry.turn.upright(pixels), dtype=np.float32)
    breast = find_breast(upright)
    inside = breast_on_source(breast, shape=upright.shape)
    if breast.frame is not None:
        inside = np.where(breast.frame, 0, inside).astype(np.float32)
    gray, inside = (
        _shrunk(part, longest_px=config.longest_px, mirrored=geometry.mirrored) for part in (upright, inside)
    )
    return _hung(_windowed(gray, inside >= 0.5, config=config), side=side)


def source_geometry(geometry: Geometry, *, side: Side, longest_px: int) -> Geometry:
    """Return the mapping from a source image's picture to its canonical view. geometry: of the file's view."""
    factor, rows, cols = _size(*geometry.upright_size, longest_px=longest_px)
    return Geometry(
        source_rows=rows,
        source_cols=cols,
        rows=geometry.rows,
        cols=geometry.cols,
        mirrored=side is Side.RIGHT,
        scale=geometry.scale / factor,
        left_px=geometry.left_px * factor,
        top_px=geometry.top_px,
    )


def shown_stored(view: NDArray[np.uint16], *, side: Side, config: DisplayConfig) -> Picture:
    """Return the picture of a canonical view [H, W], in the size in which the archive keeps it."""
    rows, cols = view.shape
    gray = _windowed(view.astype(np.float32), view > 0, config=config)
    return Picture(_hung(gray, side=side), stored_geometry(rows, cols, side=side), from_source=False)


def stored_geometry(rows: int, cols: int, *, side: Side) -> Geometry:
    """Return the mapping from a canonical view's picture to the view itself."""
    return Geometry(rows, cols, rows, cols, mirrored=side is Side.RIGHT, scale=1.0, left_px=0.0, top_px=0)


def _size(rows: int, cols: int, *, longest_px: int) -> tuple[float, int, int]:
    """Return a picture's px per px of its upright source, and its rows and columns; a rest of a pixel is cut off."""
    factor = min(1.0, longest_px / max(rows, cols))
    shown_rows, shown_cols = (max(1, math.floor(length * factor + _EPSILON)) for length in (rows, cols))
    return factor, shown_rows, shown_cols


def _shrunk(source: np.ndarray, *, longest_px: int, mirrored: bool) -> np.ndarray:
    """Return an upright image [rows, cols] in its picture's size, chest wall left; area averages."""
    facing = np.ascontiguousarray(source[:, ::-1]) if mirrored else source
    factor, rows, cols = _size(*facing.shape, longest_px=longest_px)
    box = (0.0, 0.0, min(facing.shape[1], cols / factor), min(facing.shape[0], rows / factor))
    return np.asarray(Image.fromarray(facing).resize((cols, rows), Image.Resampling.BOX, box=box))


def _windowed(gray: np.ndarray, inside: np.ndarray, *, config: DisplayConfig) -> Gray:
    """Return the breast's values between the window's percentiles, spread over 1 to 255; 0 elsewhere."""
    if not inside.any():
        return np.zeros(gray.shape, np.uint8)
    low, high = np.percentile(gray[inside], (config.low_percent, config.high_percent))
    spread = 1 + (WHITE - 1) * np.clip((gray - low) / max(high - low, _EPSILON), 0, 1)
    return np.where(inside, np.rint(spread), 0).astype(np.uint8)


def _hung(gray: Gray, *, side: Side) -> Gray:
    return np.ascontiguousarray(gray[:, ::-1]) if side is Side.RIGHT else gray
