"""Mean-field inference of a two-class dense CRF, given functions that apply its kernels."""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

Filter = Callable[[Tensor], Tensor]
"""Applies a kernel matrix to each image: [N, h, w] -> [N, h, w]. Any constant factor cancels in the normalisation."""

_TINY = 1e-20  # pydensecrf's guard against empty rows


@dataclass(frozen=True)
class Kernel:
    """One pairwise term of the energy."""

    weight: float  # Potts: two pixels of different class cost this times their kernel value
    apply: Filter


def mean_field(log_odds: Tensor, kernels: list[Kernel], *, valid: Tensor, num_iterations: int) -> Tensor:
    """Return P(mass) after `num_iterations` parallel updates (Kraehenbuehl and Koltun 2011, algorithm 1).

    log_odds: [N, h, w] float, unary log p / (1 - p)
    valid: [N, h, w] float, 1 inside the image, 0 in padding

    With two classes and Potts costs the update is  q <- sigmoid(log_odds + sum_m w_m K_m (2 q - 1)),  each K_m
    normalised to D^-1/2 K D^-1/2. As in pydensecrf, a pixel is its own neighbour too.
    """
    terms = [(kernel, _degree_root(kernel.apply, valid)) for kernel in kernels if kernel.weight > 0]
    q = torch.sigmoid(log_odds)
    for _ in range(num_iterations):
        sign = (2 * q - 1) * valid
        message = torch.zeros_like(q)
        for kernel, root in terms:
            message += kernel.weight * root * kernel.apply(root * sign)
        q = torch.sigmoid(log_odds + message)
    return q


def _degree_root(apply: Filter, valid: Tensor) -> Tensor:
    """Return D^-1/2, 0 in padding."""
    return torch.rsqrt(apply(valid).clamp_min(0) + _TINY) * valid
