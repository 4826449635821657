"""Masks of the canonical view, from boxes and polygons that a radiologist has drawn."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from skimage.draw import ellipse, polygon

from system.records import Box


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


def from_coco(annotations: Sequence[dict[str, Any]], *, shape: tuple[int, int]) -> NDArray[np.bool_]:
    """Return the union of an image's COCO annotations: their polygons, or the ellipse in a box without polygons.

    annotations: `bbox` (x, y, width, height) and, where there is an outline, `segmentation` (lists of x, y, …), px
    shape: rows, cols
    """
    mask = np.zeros(shape, bool)
    for annotation in annotations:
        parts = annotation.get("segmentation") or []
        for part in parts:
            x, y = np.array(part, float).reshape(-1, 2).T
            rows, cols = polygon(y - 0.5, x - 0.5, shape=shape)  # in COCO, 0, 0 is the corner of the first pixel
            mask[rows, cols] = True
        if not parts:
            x, y, width, height = annotation["bbox"]
            mask |= from_box((round(x), round(y), round(x + width), round(y + height)), shape=shape)
    return mask
