"""Probability maps: at the network's stride 4, as PNG, brought up to the canonical view, and cut into components.

Axes: B images, H W pixels of the canonical view, h w cells of the map (stride 4).
"""

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from scipy import ndimage

from system.imaging import decode_png, encode_png

STRIDE = 4  # canonical pixels per cell of a map, either way

_NEIGHBOURS = np.ones((3, 3), dtype=bool)  # 8-connected
_NO_NEIGHBOUR = np.zeros((3, 3), dtype=bool)
_WITHIN_IMAGE = np.stack([_NO_NEIGHBOUR, _NEIGHBOURS, _NO_NEIGHBOUR])  # images of a batch never touch


@dataclass(frozen=True, slots=True)
class Components:
    """The connected components of one image, or of a stack of images that are labelled apart."""

    labels: NDArray[np.int32]  # [..., H, W], 0 background, 1 to N
    area_px: NDArray[np.int64]  # [N]


def encode_map(probability: NDArray[np.floating], *, bits: Literal[8, 16]) -> bytes:
    """Return a map as PNG, 1.0 at full scale. probability: [h, w] float, 0 to 1."""
    full_scale = 2**bits - 1
    return encode_png(np.rint(probability * full_scale).astype(np.uint8 if bits == 8 else np.uint16))


def decode_map(png: bytes) -> NDArray[np.float32]:
    """Return the map of a PNG that `encode_map` wrote: [h, w] float32, 0 to 1."""
    stored = decode_png(png)
    return stored.astype(np.float32) / np.float32(np.iinfo(stored.dtype).max)


def encode_mask(mask: NDArray[np.bool_]) -> bytes:
    """Return a mask as an 8-bit PNG of 0 and 255, which `decode_map` reads as 0.0 and 1.0. mask: [h, w] bool."""
    return encode_png(mask * np.uint8(255))


def upsample(coarse: NDArray[np.floating], *, shape: tuple[int, int]) -> NDArray[np.float32]:
    """Return the map brought bilinearly to `shape`, half-pixel centres, as the network's own upsampling does.

    coarse: [h, w] float, 0 to 1
    Returns [H, W] float32.
    """
    rows, cols = shape
    image = Image.fromarray(np.ascontiguousarray(coarse, dtype=np.float32))
    return np.asarray(image.resize((cols, rows), Image.Resampling.BILINEAR))


def covered_share(mask: NDArray[np.bool_]) -> NDArray[np.float32]:
    """Return the share of each cell that a mask covers, 0 to 1.

    mask: [H, W] bool, H and W multiples of 4
    Returns [h, w] float32.
    """
    rows, cols = mask.shape[0] // STRIDE, mask.shape[1] // STRIDE
    return mask.reshape(rows, STRIDE, cols, STRIDE).mean(axis=(1, 3), dtype=np.float32)


def reduce_mask(mask: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Return a mask at stride 4: the cells that it covers at least half or, where there is none, all that it touches.

    A mask that is not empty stays so.

    mask: [H, W] bool, H and W multiples of 4
    Returns [h, w] bool.
    """
    covered = covered_share(mask)
    half = covered >= 0.5
    return half if half.any() else covered > 0


def label_components(mask: NDArray[np.bool_]) -> tuple[NDArray[np.int32], int]:
    """Return the 8-connected components as numbers from 1, 0 elsewhere, and how many there are.

    mask: [H, W] bool, or [B, H, W] bool for images that are labelled apart
    """
    labels = np.zeros(mask.shape, dtype=np.int32)
    count = ndimage.label(mask, structure=_NEIGHBOURS if mask.ndim == 2 else _WITHIN_IMAGE, output=labels)
    return labels, int(count)  # type: ignore[arg-type] - with `output` scipy returns the count alone


def find_boxes(labels: NDArray[np.int32]) -> list[tuple[slice, ...]]:
    """Return each component's bounding slices, in the order of their numbers. labels: numbered without gaps."""
    return [box for box in ndimage.find_objects(labels) if box is not None]


def components(mask: NDArray[np.bool_], *, min_px: int) -> Components:
    """Return the 8-connected components of at least `min_px` pixels, numbered anew.

    mask: [H, W] bool, or [B, H, W] bool for images that are labelled apart
    """
    labels, num_found = label_components(mask)
    area_px = np.bincount(labels.ravel(), minlength=num_found + 1)
    kept = area_px >= min_px
    kept[0] = False
    renumbered = np.where(kept, np.cumsum(kept), 0).astype(np.int32)
    return Components(renumbered[labels], area_px[kept])


def peaks(values: NDArray[np.floating], found: Components) -> NDArray[np.float32]:
    """Return each component's highest value: [N] float32.

    values: float, broadcastable to the labels' shape, 0 to 1
    """
    inside = found.labels > 0
    highest = np.zeros(len(found.area_px) + 1, dtype=np.float32)
    np.maximum.at(highest, found.labels[inside], np.broadcast_to(values, found.labels.shape)[inside])
    return highest[1:]
