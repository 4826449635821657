"""The binary mask M_b of a map (Tang et al. 2021, section 3.3), and the share of it that the CRF removed."""

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from system.errors import UserError
from system.maps import find_boxes, label_components
from system.refine.config import RefineConfig
from system.refine.crf import PROBABILITY_EPSILON, dense_crf


@dataclass(frozen=True)
class RefinedMasks:
    """The masks of a batch of maps."""

    mask: np.ndarray  # [B, H, W] bool
    removed: np.ndarray  # [B] float32, largest share that a component lost by the CRF, 0 to 1


def shift_threshold(prob: Tensor, mask_threshold: float, *, extent: float = 0.0) -> Tensor:
    """Return probabilities whose log-odds are shifted so that `mask_threshold` becomes 0.5.

    The CRF decides at even odds, but networks trained with the soft focal loss give probabilities far below them.

    prob: [B, H, W] float
    mask_threshold: above 0 and below 1
    extent: above 0, a component that reaches the threshold extends down to this share of its own peak

    Raises UserError for a threshold outside 0 to 1.
    """
    if not 0 < mask_threshold < 1:
        raise UserError(
            f"mask_threshold must lie between 0 and 1, found {mask_threshold}: "
            "give such a number, or 'validation' to have it chosen"
        )
    even = torch.full_like(prob, mask_threshold, dtype=torch.float32)
    if extent:
        even = _even_odds(prob.float(), mask_threshold, extent=extent)
    return torch.sigmoid(torch.logit(prob.float(), eps=PROBABILITY_EPSILON) - torch.logit(even))


def _even_odds(prob: Tensor, mask_threshold: float, *, extent: float) -> Tensor:
    """Return the probability that counts as even odds at each pixel, [B, H, W].

    Where a component is found, that is a share of its peak: a faint mass and a bright one are cut at the same relative
    height. One threshold for all would leave only a few pixels of the faint one.
    """
    values = prob.cpu().numpy()
    labels, num_found = label_components(values >= extent * mask_threshold)
    peak = np.zeros(num_found + 1, np.float32)
    np.maximum.at(peak, labels.ravel(), values.ravel())
    level = np.where(peak >= mask_threshold, extent * peak, mask_threshold)
    level[0] = mask_threshold
    return torch.from_numpy(level[labels].astype(np.float32)).to(prob.device)


def refine_masks(prob: Tensor, image: Tensor, *, mask_threshold: float, config: RefineConfig) -> RefinedMasks:
    """Return M_b = CRF(map) > 0.5 without its small components.

    prob: [B, H, W] float, 0 to 1
    image: [B, H, W] float, 0 to 255
    """
    shifted = shift_threshold(prob, mask_threshold, extent=config.mask_extent)
    before = (shifted > 0.5).cpu().numpy()
    after = (dense_crf(shifted, image, config.params, backend=config.backend) > 0.5).cpu().numpy()
    mask = drop_small(after, min_px=config.min_candidate_px)
    return RefinedMasks(mask, removed_share(before, mask, min_px=config.min_candidate_px))


def drop_small(mask: np.ndarray, *, min_px: int) -> np.ndarray:
    """Return the mask [B, H, W] bool without 8-connected components of fewer than min_px pixels."""
    if not mask.any():
        return mask
    labels, _ = label_components(mask)
    keep = np.bincount(labels.ravel()) >= min_px
    keep[0] = False
    return keep[labels]


def removed_share(before: np.ndarray, after: np.ndarray, *, min_px: int) -> np.ndarray:
    """Return, per image, the largest share that a component of at least min_px pixels lost: [B] float32, 0 to 1.

    before, after: [B, H, W] bool
    """
    worst = np.zeros(len(before), dtype=np.float32)
    labels, num_found = label_components(before)
    if num_found == 0:
        return worst
    size = np.bincount(labels.ravel())[1:]
    kept = np.bincount(labels[after], minlength=num_found + 1)[1:]
    where = np.array([image.start for image, _, _ in find_boxes(labels)])
    counts = size >= min_px
    np.maximum.at(worst, where[counts], (1 - kept / size)[counts].astype(np.float32))
    return worst
