"""Masks of the canonical view, from boxes, polygons and masks that a radiologist has drawn."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from skimage.draw import ellipse, polygon

from system.errors import UserError
from system.imaging import Geometry, canonical_mask
from system.records import Box
from system.review.rle import decode_rle

_DECIMALS = 6  # of a pixel: what is left of a place that a tool keeps in percent

Edges = tuple[float, float, float, float]
"""x, y of the top left corner, width and height, px."""


def from_box(box: Box, *, shape: tuple[int, int]) -> NDArray[np.bool_]:
    """Return the ellipse that fills a box: masses are round, and a box's corners are not mass.

    box: px, half open
    shape: rows, cols
    """
    x0, y0, x1, y1 = box
    mask = np.zeros(shape, bool)
    rows, cols = ellipse((y0 + y1 - 1) / 2, (x0 + x1 - 1) / 2, (y1 - y0) / 2, (x1 - x0) / 2, shape=shape)
    mask[rows, cols] = True
    return mask


def in_view(mask: NDArray[np.bool_], frame: Geometry) -> NDArray[np.bool_]:
    """Return a mask of a picture in the archive's view: a pixel is set where at least half of it is.

    frame: from the picture's pixels to the view

    Raises UserError where nothing is left of it.
    """
    found = canonical_mask(mask, geometry=frame)
    if not found.any():
        raise UserError(
            "nothing of it is left in the archive's view of the breast: it lies beside the breast, or is smaller than "
            f"half a pixel of that view ({1 / frame.scale:.1f} px of the picture)"
        )
    return found


def from_coco(annotations: Iterable[Mapping[str, Any]], *, shape: tuple[int, int]) -> NDArray[np.bool_]:
    """Return the union of an image's COCO annotations, each as `outline_of` reads it. shape: rows, cols."""
    mask = np.zeros(shape, bool)
    for annotation in annotations:
        mask |= outline_of(annotation, shape=shape)
    return mask


def outline_of(annotation: Mapping[str, Any], *, shape: tuple[int, int]) -> NDArray[np.bool_]:
    """Return the mask of a COCO annotation: of its polygons or runs, or the ellipse in a box that has neither.

    annotation: `segmentation` (lists of x, y, …, px; or `counts` and `size`), else `bbox` (x, y, width, height, px)
    shape: rows, cols

    Raises UserError for what is no outline, and for one that covers no pixel of the picture.
    """
    parts = parts_of(annotation)
    mask = np.zeros(shape, bool)
    for part in parts:
        mask |= decode_rle(part, shape=shape) if isinstance(part, Mapping) else _filled(part, shape=shape)
    if not parts:
        x, y, width, height = box_of(annotation, shape=shape)
        mask = from_box((round(x), round(y), round(x + width), round(y + height)), shape=shape)
    if not mask.any():
        raise UserError("it covers no pixel of the picture")
    return mask


def parts_of(annotation: Mapping[str, Any]) -> list[Any]:
    """Return the parts of an annotation's outline, polygons or runs; none where it is a box."""
    found = annotation.get("segmentation")
    if isinstance(found, Mapping):
        return [found] if found else []
    if found is not None and not isinstance(found, list):
        raise UserError("its segmentation is neither a list of polygons nor a mask")
    if found and not any(isinstance(part, list | Mapping) for part in found):
        return [found]  # some tools leave out the brackets around a single polygon
    return [part for part in found or [] if part]


def box_of(annotation: Mapping[str, Any], *, shape: tuple[int, int]) -> Edges:
    """Return an annotation's box; a corner that was drawn to the left or upwards is taken as it lies."""
    found = annotation.get("bbox")
    if not found:
        raise UserError("it has neither an outline nor a box")
    edges = _numbers(found, shape=shape)
    if len(edges) != 4:
        raise UserError(f"its box has {len(edges)} numbers, expected x, y, width and height")
    x, y, width, height = edges.tolist()
    if not width or not height:
        raise UserError("its box has no area")
    return min(x, x + width), min(y, y + height), abs(width), abs(height)


def _filled(part: Sequence[Any], *, shape: tuple[int, int]) -> NDArray[np.bool_]:
    numbers = _numbers(part, shape=shape)
    if len(numbers) % 2 or len(numbers) < 6:
        raise UserError(
            f"a polygon of {len(numbers)} numbers encloses nothing: expected x and y of three points or more"
        )
    x, y = numbers.reshape(-1, 2).T
    mask = np.zeros(shape, bool)
    rows, cols = polygon(y - 0.5, x - 0.5, shape=shape)  # in COCO, 0, 0 is the corner of the first pixel
    mask[rows, cols] = True
    return mask


def _numbers(values: Sequence[Any], *, shape: tuple[int, int]) -> NDArray[np.float64]:
    """Return places in the picture or near it: [N]."""
    try:
        numbers = np.round(np.array(values, np.float64), _DECIMALS)
    except (TypeError, ValueError, OverflowError):
        numbers = np.full(1, np.nan)
    if numbers.ndim != 1 or not np.isfinite(numbers).all():
        raise UserError("its places are no list of numbers")
    if (np.abs(numbers) > 2 * max(shape)).any():
        raise UserError("it lies far outside of the picture")
    return numbers
