"""Cross-entropy and focal loss against labels that are probabilities (Tang et al. 2021, eq. 4 and 5)."""

import torch
from torch import Tensor
from torch.nn import functional

SMALLEST_DISTANCE = 1e-12  # between label and prediction


def soft_cross_entropy(logits: Tensor, target: Tensor) -> Tensor:
    """Return the mean soft-label cross-entropy (Tang et al. 2021, eq. 4), a float32 scalar.

    logits: any shape, any range
    target: same shape, 0 to 1
    """
    return cross_entropy_each(logits, target).mean()


def soft_focal_loss(logits: Tensor, target: Tensor, *, alpha: float, gamma: float) -> Tensor:
    """Return the mean soft-label focal loss (Tang et al. 2021, eq. 5), a float32 scalar.

    logits: [B, 1, h, w] float, any range
    target: [B, 1, h, w] float, 0 to 1

    At labels 0 and 1 it is the focal loss of Lin et al.: |y − ŷ| is then 1 − p_t.
    """
    return focal_each(logits, target, alpha=alpha, gamma=gamma).mean()


def cross_entropy_each(logits: Tensor, target: Tensor) -> Tensor:
    """Return the soft cross-entropy of each element, float32; computed from logits, so it is always finite."""
    return functional.binary_cross_entropy_with_logits(logits.float(), target.float(), reduction="none")


def focal_each(logits: Tensor, target: Tensor, *, alpha: float, gamma: float) -> Tensor:
    """Return the soft focal loss of each element, float32; α_t = α·y + (1 − α)(1 − y)."""
    target = target.float()
    distance = (target - torch.sigmoid(logits.float())).abs()
    balance = alpha * target + (1 - alpha) * (1 - target)
    # for γ < 1 the slope of the power is infinite at 0, and infinity times the zero slope of ŷ would be NaN
    return balance * distance.clamp_min(SMALLEST_DISTANCE).pow(gamma) * cross_entropy_each(logits, target)
