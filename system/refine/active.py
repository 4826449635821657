"""Where in a map a dense CRF can change what is above even odds: around pixels whose probability is not negligible.

Far from every such pixel all neighbours favour "no mass", so the message only lowers the probability further; there a
pixel's neighbourhood is like the pixel itself, and the update needs no kernel.

The same holds where no pixel of a window is above even odds: every message is against a mass from the first to the
last, and no pixel can rise above them.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from system.maps import find_boxes, label_components

FLOOR_LOG_ODDS = math.log(0.1 / 0.9)  # below probability 0.1 a pixel is negligible to its neighbours
TILE_PX = 8  # resolution of the search
MAX_CROP_PX = {"cpu": 1 << 15}  # pixels refined together, padding included: on CPUs what stays in the cache is fastest
MAX_CROP_PX_ELSEWHERE = 1 << 22  # a GPU is faster on many at once; bounds memory (about 150 bytes a pixel)
MAX_PADDING = 1.5  # crops share a padded batch while it is at most this many times their own pixels


@dataclass(frozen=True)
class Crop:
    """A window of one image and, inside it, the pixels whose result it provides."""

    image: int  # index in the batch
    y: slice  # px
    x: slice  # px
    owns: np.ndarray  # [h, w] bool; windows may overlap, ownership does not

    @property
    def shape(self) -> tuple[int, int]:
        """Height and width, px."""
        return self.y.stop - self.y.start, self.x.stop - self.x.start


@dataclass(frozen=True)
class Crops:
    """Windows refined together, padded to one size."""

    crops: list[Crop]
    valid: Tensor  # [N, h, w] float, 1 inside a crop, 0 in padding

    def cut(self, batch: Tensor) -> Tensor:
        """Return the windows [N, h, w] of a batch [B, H, W] float, zero in padding."""
        windows = batch.new_zeros(self.valid.shape)
        for number, crop in enumerate(self.crops):
            height, width = crop.shape
            windows[number, :height, :width] = batch[crop.image, crop.y, crop.x]
        return windows

    def paste(self, windows: Tensor, batch: Tensor) -> None:
        """Write each window's own pixels into batch [B, H, W], in place."""
        for number, crop in enumerate(self.crops):
            height, width = crop.shape
            owns = torch.from_numpy(crop.owns).to(batch.device)
            target = batch[crop.image, crop.y, crop.x]
            target.copy_(torch.where(owns, windows[number, :height, :width], target))


def settle_inactive(log_odds: Tensor, *, total_weight: float) -> Tensor:
    """Return P(mass) where a pixel's neighbourhood is like the pixel itself.

    Below probability 0.1, two scalar updates are within 0.001 of the limit.
    """
    q = torch.sigmoid(log_odds)
    for _ in range(2):
        q = torch.sigmoid(log_odds + total_weight * (2 * q - 1))
    return q


def active_crops(log_odds: Tensor, *, margin_px: int) -> Iterator[Crops]:
    """Yield batches of windows that cover all pixels within margin_px of one that is not negligible.

    Windows without a pixel above even odds are left out.

    log_odds: [B, H, W] float
    """
    crops = sorted(_windows(log_odds, margin_px=margin_px), key=lambda crop: crop.shape)
    max_px = MAX_CROP_PX.get(log_odds.device.type, MAX_CROP_PX_ELSEWHERE)
    start = 0
    while start < len(crops):
        stop = start + 1
        while stop < len(crops) and _fits(crops[start : stop + 1], max_px=max_px):
            stop += 1
        yield _padded_together(crops[start:stop], like=log_odds)
        start = stop


def _windows(log_odds: Tensor, *, margin_px: int) -> list[Crop]:
    height, width = log_odds.shape[-2:]
    tiles = functional.max_pool2d(log_odds[:, None], TILE_PX, ceil_mode=True)[:, 0] > FLOOR_LOG_ODDS
    if not tiles.any():
        return []
    reach = math.ceil(margin_px / TILE_PX)
    near = functional.max_pool2d(tiles[:, None].float(), 2 * reach + 1, stride=1, padding=reach)[:, 0] > 0
    labels, _ = label_components(near.cpu().numpy())
    crops = []
    for number, (image, y, x) in enumerate(find_boxes(labels), start=1):
        owned = labels[image.start, y, x] == number
        owns = owned.repeat(TILE_PX, axis=0).repeat(TILE_PX, axis=1)
        rows = slice(y.start * TILE_PX, min(y.stop * TILE_PX, height))
        cols = slice(x.start * TILE_PX, min(x.stop * TILE_PX, width))
        if not (log_odds[image.start, rows, cols] > 0).any():
            continue
        crops.append(Crop(image.start, rows, cols, owns[: rows.stop - rows.start, : cols.stop - cols.start]))
    return crops


def _fits(crops: list[Crop], *, max_px: int) -> bool:
    padded = len(crops) * max(crop.shape[0] for crop in crops) * max(crop.shape[1] for crop in crops)
    own = sum(crop.shape[0] * crop.shape[1] for crop in crops)
    return padded <= max_px and padded <= MAX_PADDING * own


def _padded_together(crops: list[Crop], *, like: Tensor) -> Crops:
    height, width = max(crop.shape[0] for crop in crops), max(crop.shape[1] for crop in crops)
    valid = like.new_zeros((len(crops), height, width))
    for number, crop in enumerate(crops):
        valid[number, : crop.shape[0], : crop.shape[1]] = 1
    return Crops(crops, valid)
