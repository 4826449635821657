"""Mammograms on pages with a dark ground: pictures as `data:` URIs, boxes in their pixels."""

import base64
import io
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image

JPEG_QUALITY = 92
GAP_PX = 8

Gray = NDArray[np.uint8]
"""[rows, cols]."""


@dataclass(frozen=True, slots=True)
class MarkedBox:
    """A candidate of the network, in the picture's pixels."""

    x0: float
    y0: float
    x1: float
    y1: float
    score: float  # 0 to 1


def jpeg_address(pixels: Gray) -> str:
    """Return a picture as a `data:` URI."""
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, format="JPEG", quality=JPEG_QUALITY)
    return f"data:image/jpeg;base64,{base64.b64encode(file.getvalue()).decode()}"


def at_height(pixels: Gray, height_px: int) -> Gray:
    """Return a picture scaled to a height."""
    width_px = max(1, round(pixels.shape[1] * height_px / pixels.shape[0]))
    return np.asarray(Image.fromarray(pixels).resize((width_px, height_px), Image.Resampling.LANCZOS))


def side_by_side(views: Sequence[Gray], *, height_px: int) -> Gray:
    """Return views beside each other, each scaled to a height: [height_px, cols]."""
    gap = np.zeros((height_px, GAP_PX), np.uint8)
    return np.concatenate([part for view in views for part in (at_height(view, height_px), gap)][:-1], axis=1)
