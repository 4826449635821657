"""A part of a network that learns from maps and moves what made them less, or not at all."""

from typing import Any

import torch
from torch import Tensor


class _GradientShare(torch.autograd.Function):
    """The identity, whose gradient is multiplied by a number."""

    @staticmethod
    def forward(ctx: Any, values: Tensor, share: float) -> Tensor:
        ctx.share = share
        return values.view_as(values)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None]:
        return gradients[0] * ctx.share, None


def with_gradient_share(values: Tensor, share: float) -> Tensor:
    """Return the same values; only `share` (0 to 1) of the gradient at the result reaches what they come from."""
    if share == 1:
        return values
    return _GradientShare.apply(values, share) if share else values.detach()
