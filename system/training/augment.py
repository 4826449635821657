"""Random flips, affine change, gain and noise: the same for main, auxiliary and mask, on the device of the batch."""

import math
from dataclasses import replace

import torch
from torch import Tensor
from torch.nn import functional

from system.methods import Batch
from system.training.config import AugmentConfig


def augment(batch: Batch, *, config: AugmentConfig, generator: torch.Generator) -> Batch:
    """Return a changed copy. A missing auxiliary (all-zero) stays all-zero.

    generator: on the CPU, so that the same seed gives the same changes on every device
    """
    size, device = batch.main.shape[0], batch.main.device
    change = _affine(size, config, generator, aspect=batch.main.shape[3] / batch.main.shape[2]).to(device)
    gain = 1 + config.gain * _uniform((size, 1, 1, 1), generator).to(device)
    images = []
    for image in (batch.main, batch.auxiliary):
        moved = _warp(image, change) * gain
        noise = torch.randn(image.shape, generator=generator).to(device) * config.noise_sd
        inside = (moved > 0).to(moved.dtype)  # air and a missing breast stay zero
        images.append(((moved + noise) * inside).clamp(0, 1))
    mask = _warp(batch.targets.mask, change).clamp(0, 1)
    return replace(batch, main=images[0], auxiliary=images[1], targets=replace(batch.targets, mask=mask))


def _warp(image: Tensor, change: Tensor) -> Tensor:
    grid = functional.affine_grid(change, list(image.shape), align_corners=False)
    return functional.grid_sample(image, grid, mode="bilinear", padding_mode="zeros", align_corners=False)


def _affine(size: int, config: AugmentConfig, generator: torch.Generator, *, aspect: float) -> Tensor:
    """Return [size, 2, 3] maps from output to input in normalised coordinates; aspect: width over height."""
    angle = _uniform((size,), generator) * math.radians(config.rotation_deg)
    zoom = 1 + _uniform((size,), generator) * config.scale
    shift = _uniform((size, 2), generator) * 2 * config.shift
    flips = 1 - 2 * (torch.rand((size, 2), generator=generator) < config.flip_share).float()
    cos, sin = torch.cos(angle) * zoom, torch.sin(angle) * zoom
    first = torch.stack([cos * flips[:, 0], -sin / aspect * flips[:, 1], shift[:, 0]], dim=1)
    second = torch.stack([sin * aspect * flips[:, 0], cos * flips[:, 1], shift[:, 1]], dim=1)
    return torch.stack([first, second], dim=1)


def _uniform(shape: tuple[int, ...], generator: torch.Generator) -> Tensor:
    """Return values between -1 and 1."""
    return torch.rand(shape, generator=generator) * 2 - 1
