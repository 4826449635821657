"""Dense CRF over every pair of pixels: slow, exact, and the reference for the other backends."""

import torch
from torch import Tensor

from system.errors import UserError
from system.refine.config import CrfParams
from system.refine.mean_field import Filter, Kernel, mean_field

MAX_PX = 8192  # a kernel matrix of that many pixels takes 256 MiB


def exact_crf(log_odds: Tensor, image: Tensor, params: CrfParams) -> Tensor:
    """Return P(mass) [B, H, W] with every pair of pixels computed.

    log_odds: [B, H, W] float
    image: [B, H, W] float, 0 to 255

    Raises UserError for images of more than MAX_PX pixels.
    """
    height, width = log_odds.shape[-2:]
    if height * width > MAX_PX:
        raise UserError(f"the exact CRF takes at most {MAX_PX} pixels, found {height} x {width}: use backend 'grid'")
    return torch.cat(
        [_refine_one(odds, gray, params) for odds, gray in zip(log_odds.split(1), image.split(1), strict=True)]
    )


def _refine_one(log_odds: Tensor, image: Tensor, params: CrfParams) -> Tensor:
    rows, cols = (torch.arange(n, dtype=log_odds.dtype, device=log_odds.device) for n in log_odds.shape[-2:])
    y, x = (axis.reshape(-1) for axis in torch.meshgrid(rows, cols, indexing="ij"))
    distance = _squared_differences(x) + _squared_differences(y)
    contrast = _squared_differences(image.reshape(-1).to(log_odds.dtype))
    smoothness = _exp(-distance / (2 * params.smoothness_sigma_px**2))
    appearance = _exp(-distance / (2 * params.position_sigma_px**2) - contrast / (2 * params.intensity_sigma**2))
    kernels = [
        Kernel(params.smoothness_weight, _times(smoothness)),
        Kernel(params.appearance_weight, _times(appearance)),
    ]
    return mean_field(log_odds, kernels, valid=torch.ones_like(log_odds), num_iterations=params.num_iterations)


def _squared_differences(values: Tensor) -> Tensor:
    return (values[:, None] - values[None, :]).square()


def _exp(exponent: Tensor) -> Tensor:
    """Return e^x, and 0 below e^-40, which changes no sum in float32: denormal numbers slow CPUs tenfold."""
    return torch.exp(exponent).masked_fill_(exponent < -40, 0)


def _times(matrix: Tensor) -> Filter:
    return lambda x: (matrix @ x.reshape(-1)).reshape(x.shape)
