"""The dense CRF that sharpens a probability map along the edges of its image (docs/method.md, Dense CRF)."""

from collections.abc import Callable

import torch
from torch import Tensor

from system.refine.config import CrfParams
from system.refine.crf_exact import exact_crf
from system.refine.crf_grid import grid_crf
from system.refine.crf_pydensecrf import pydensecrf_crf

PROBABILITY_EPSILON = 1e-5  # keeps log-odds finite; the value pydensecrf clips at

Backend = Callable[[Tensor, Tensor, CrfParams], Tensor]


def no_crf(log_odds: Tensor, _image: Tensor, _params: CrfParams) -> Tensor:
    """Return the unary's own probability."""
    return torch.sigmoid(log_odds)


CRF_BACKENDS: dict[str, Backend] = {"exact": exact_crf, "grid": grid_crf, "pydensecrf": pydensecrf_crf, "none": no_crf}


def dense_crf(prob: Tensor, image: Tensor, params: CrfParams, *, backend: str) -> Tensor:
    """Return P(mass) after mean field with a smoothness and an appearance kernel, Potts costs, symmetric normalisation.

    prob: [B, H, W] float, 0 to 1
    image: [B, H, W] float, 0 to 255
    returns: [B, H, W] float, 0 to 1

    Raises ValueError for an unknown backend or shapes that differ, and what the backend raises.
    """
    if backend not in CRF_BACKENDS:
        raise ValueError(f"unknown CRF backend {backend!r}: choose one of {', '.join(CRF_BACKENDS)}")
    if prob.ndim != 3 or prob.shape != image.shape:
        raise ValueError(f"prob and image must both be [B, H, W], found {list(prob.shape)} and {list(image.shape)}")
    log_odds = torch.logit(prob.float(), eps=PROBABILITY_EPSILON)
    return CRF_BACKENDS[backend](log_odds, image.float(), params)
