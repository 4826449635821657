"""The canonical view: one breast, chest wall left, one size, 16 bits; the same for every mammography unit and film."""

import math
from dataclasses import replace

import numpy as np
from PIL import Image

from system.imaging.breast import Breast, find_breast
from system.imaging.config import ImagingConfig
from system.imaging.geometry import UPRIGHT, Geometry, Turn
from system.imaging.refused import ImageRefused
from system.records import Side

FULL_SCALE = 65535
WINDOW_PERCENTILES = (0.5, 99.8)  # of the breast's pixels; film labels and dead pixels must not set the range
SIDE_NAMES = {Side.LEFT: "left", Side.RIGHT: "right"}
_EPSILON = 1e-6


def canonical_view(
    pixels: np.ndarray, *, config: ImagingConfig, chest_wall: Side | None = None, turn: Turn = UPRIGHT
) -> tuple[np.ndarray, Geometry]:
    """Return the canonical view [H, W] uint16 and its geometry: the breast spans 1 to 65535, all else is 0.

    pixels: [rows, cols] any real dtype, tissue bright
    chest_wall: the side of the upright picture on which the header puts the chest wall, None where it gives none
    turn: how the file's picture is turned upright

    Raises ImageRefused:
    no_signal: there is no breast to see
    view: the picture clearly has its chest wall on the other side
    pixel_size: a strip so thin that nothing of it would be left in the view
    """
    source = np.ascontiguousarray(turn.upright(pixels), dtype=np.float32)
    breast = find_breast(source)
    if chest_wall is not None and breast.is_clear and breast.chest_wall is not chest_wall:
        raise ImageRefused(
            "view",
            f"Patient Orientation (0020,0020) puts the chest wall at the upright picture's {SIDE_NAMES[chest_wall]}, "
            f"it is at its {SIDE_NAMES[breast.chest_wall]}: the picture is mirrored or has the header of another",
        )
    geometry = _fit(source.shape, breast=breast, config=config)
    geometry = replace(
        geometry,
        source_rows=pixels.shape[0],
        source_cols=pixels.shape[1],
        transposed=turn.transposed,
        flipped=turn.flipped,
    )
    view = _resample(source, geometry=geometry)
    on_source = breast_on_source(breast, shape=source.shape)
    if breast.frame is not None:
        on_source = np.where(breast.frame, 0, on_source).astype(np.float32)
        source = np.where(breast.frame, source[~breast.frame].min(), source)
    inside = _resample(on_source, geometry=geometry) >= 0.5
    return _window(view, inside=inside), geometry


def canonical_mask(mask: np.ndarray, *, geometry: Geometry) -> np.ndarray:
    """Return the mask in the canonical view: a pixel is set when at least half of its area is.

    mask: [rows, cols] bool or any number, non-zero = set
    returns: [H, W] bool

    Raises ImageRefused mask_size when the mask is not of the image's size.
    """
    if mask.shape != (geometry.source_rows, geometry.source_cols):
        expected = [geometry.source_rows, geometry.source_cols]
        raise ImageRefused("mask_size", f"the mask is {list(mask.shape)} px, its image {expected}")
    upright = np.ascontiguousarray(geometry.turn.upright(mask != 0), dtype=np.float32)
    return _resample(upright, geometry=geometry) >= 0.5 - _EPSILON


def to_network(pixels: np.ndarray) -> np.ndarray:
    """Return a canonical view as network input, float32, 0 to 1. pixels: [..., H, W] uint16."""
    return pixels.astype(np.float32) / np.float32(FULL_SCALE)


def _fit(shape: tuple[int, ...], *, breast: Breast, config: ImagingConfig) -> Geometry:
    """Return the mapping that puts the chest wall at column 0.

    The frame's height fills the view unless the breast is too wide for it.
    """
    rows, cols = shape
    # rounding may put the last column slightly beyond the frame
    first, last = breast.columns_px[0], min(breast.columns_px[1], float(cols))
    mirrored = breast.chest_wall is Side.RIGHT
    left_px = cols - last if mirrored else first
    scale = min(config.height_px / rows, config.width_px / (last - first))
    if min(rows, cols - left_px) * scale < 1:
        raise ImageRefused(
            "pixel_size", f"{cols}x{rows} px leave less than a pixel of a view of {config.width_px}x{config.height_px}"
        )
    top_px = (config.height_px - math.floor(rows * scale + _EPSILON)) // 2
    return Geometry(
        source_rows=rows,
        source_cols=cols,
        rows=config.height_px,
        cols=config.width_px,
        mirrored=mirrored,
        scale=scale,
        left_px=left_px,
        top_px=top_px,
    )


def _resample(source: np.ndarray, *, geometry: Geometry) -> np.ndarray:
    """Return the source [rows, cols] float32 in the canonical frame [H, W] float32, 0 outside.

    Area averages where the view is smaller than the source, bilinear where it is larger.
    """
    if geometry.mirrored:
        source = np.ascontiguousarray(source[:, ::-1])
    rows, cols = source.shape
    height = min(geometry.rows, math.floor(rows * geometry.scale + _EPSILON))
    width = min(geometry.cols, math.floor((cols - geometry.left_px) * geometry.scale + _EPSILON))
    right_px, bottom_px = geometry.left_px + width / geometry.scale, height / geometry.scale
    box = (geometry.left_px, 0.0, min(right_px, float(cols)), min(bottom_px, float(rows)))
    filtered = Image.Resampling.BOX if geometry.scale <= 1 else Image.Resampling.BILINEAR
    part = np.asarray(Image.fromarray(source).resize((width, height), filtered, box=box))
    view = np.zeros((geometry.rows, geometry.cols), np.float32)
    view[geometry.top_px : geometry.top_px + height, :width] = part
    return view


def breast_on_source(breast: Breast, *, shape: tuple[int, ...]) -> np.ndarray:
    """Return the coarse mask spread over the source frame: [rows, cols] float32, 0 to 1, its steps smoothed."""
    coarse = Image.fromarray(breast.mask.astype(np.float32))
    return np.asarray(coarse.resize((shape[1], shape[0]), Image.Resampling.BILINEAR))


def _window(view: np.ndarray, *, inside: np.ndarray) -> np.ndarray:
    """Return [H, W] uint16: the breast's values between WINDOW_PERCENTILES spread over 1 to 65535, 0 elsewhere."""
    if not inside.any():
        raise ImageRefused("no_signal", "no breast is left in the canonical view")
    low, high = np.percentile(view[inside], WINDOW_PERCENTILES)
    if high - low <= _EPSILON * max(abs(high), 1.0):
        raise ImageRefused("no_signal", "the breast has one value only")
    spread = 1 + (FULL_SCALE - 1) * np.clip((view - low) / (high - low), 0, 1)
    return np.where(inside, np.rint(spread), 0).astype(np.uint16)
