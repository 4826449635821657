"""Random flips, affine change, gamma, gain and noise, on the device of the batch.

Main, auxiliary and mask get the same geometry, main and auxiliary the same gamma and gain.
"""

import math
from dataclasses import replace

import torch
from torch import Tensor
from torch.nn import functional

from system.methods import Batch
from system.training.config import AugmentConfig

_NUM_DRAWS = 8  # angle, zoom, two shifts, two flips, gain, gamma; a new one comes last, so that these stay the same


def augment(batch: Batch, *, config: AugmentConfig) -> Batch:
    """Return a changed copy. A missing auxiliary (all-zero) stays all-zero.

    Each sample is changed by its own seed, whatever batch and worker it is in. Geometry, gamma and gain are the same on
    every device, noise is the same on all devices of one type.
    """
    device = batch.main.device
    drawn = torch.stack(
        [torch.rand(_NUM_DRAWS, generator=torch.Generator().manual_seed(seed)) for seed in batch.seeds.tolist()]
    )
    change = _affine(drawn, config, aspect=batch.main.shape[3] / batch.main.shape[2]).to(device)
    gain = 1 + config.gain * (2 * drawn[:, 6] - 1).to(device).view(-1, 1, 1, 1)
    noise = _noise(batch, config) if config.noise_sd else torch.zeros(2, *batch.main.shape, device=device)
    exponent = torch.exp(math.log1p(config.gamma) * (2 * drawn[:, 7] - 1)).to(device).view(-1, 1, 1, 1)
    images = []
    for image, grain in zip((batch.main, batch.auxiliary), noise, strict=True):
        warped = _warp(image, change)
        moved = (warped**exponent if config.gamma else warped) * gain
        inside = (moved > 0).to(moved.dtype)  # air and a missing breast stay zero
        images.append(((moved + grain) * inside).clamp(0, 1))
    mask = _warp(batch.targets.mask, change).clamp(0, 1)
    return replace(batch, main=images[0], auxiliary=images[1], targets=replace(batch.targets, mask=mask))


def _noise(batch: Batch, config: AugmentConfig) -> Tensor:
    """Return the noise of main and auxiliary, [2, B, 1, H, W] float."""
    device, shape = batch.main.device, (2, *batch.main.shape[1:])
    each = [
        torch.randn(shape, generator=torch.Generator(device).manual_seed(seed), device=device)
        for seed in batch.seeds.tolist()
    ]
    return torch.stack(each, dim=1) * config.noise_sd


def _warp(image: Tensor, change: Tensor) -> Tensor:
    grid = functional.affine_grid(change, list(image.shape), align_corners=False)
    return functional.grid_sample(image, grid, mode="bilinear", padding_mode="zeros", align_corners=False)


def _affine(drawn: Tensor, config: AugmentConfig, *, aspect: float) -> Tensor:
    """Return the maps from output to input, [B, 2, 3], in normalised coordinates.

    drawn: [B, 8], 0 to 1
    aspect: width over height
    """
    angle, zoom, shift = 2 * drawn[:, 0] - 1, 2 * drawn[:, 1] - 1, 2 * drawn[:, 2:4] - 1
    angle, zoom, shift = angle * math.radians(config.rotation_deg), 1 + zoom * config.scale, shift * 2 * config.shift
    flips = 1 - 2 * (drawn[:, 4:6] < torch.tensor([config.flip_horizontal, config.flip_vertical])).float()
    cos, sin = torch.cos(angle) * zoom, torch.sin(angle) * zoom
    first = torch.stack([cos * flips[:, 0], -sin / aspect * flips[:, 1], shift[:, 0]], dim=1)
    second = torch.stack([sin * aspect * flips[:, 0], cos * flips[:, 1], shift[:, 1]], dim=1)
    return torch.stack([first, second], dim=1)
