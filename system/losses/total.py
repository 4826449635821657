"""The overall loss of a round: strong and weak samples, masks and classes (Tang et al. 2021, eq. 6)."""

from dataclasses import dataclass

import torch
from torch import Tensor

from system.losses.config import LossConfig
from system.losses.soft import cross_entropy_each, focal_each


@dataclass(frozen=True, slots=True)
class Targets:
    """The targets of a batch, and how large its groups are over all workers together."""

    mask: Tensor  # [B, 1, h, w] float, 0 to 1; read only where has_mask
    p_mass: Tensor  # [B] float, 0 to 1: truth for strong samples, p_mass of the report for weak ones
    is_strong: Tensor  # [B] bool
    has_mask: Tensor  # [B] bool: strong samples and Quadrant.TP; with `empty_masks` Quadrant.FP too
    # Of the global batch, divided by the number of workers: samples per term (mask_strong, class_strong, mask_weak,
    # class_weak) and, for pixel_mean positive, cells with a mass per mask term, at least 1 (cells_strong, cells_weak).
    group_sizes: dict[str, float]


@dataclass(frozen=True, slots=True)
class LossTerms:
    """The loss to minimise and its parts, each already a mean over its own samples."""

    total: Tensor
    mask_strong: Tensor
    class_strong: Tensor
    mask_weak: Tensor
    class_weak: Tensor


def total_loss(mask_logits: Tensor, class_logits: Tensor | None, targets: Targets, *, config: LossConfig) -> LossTerms:
    """Return eq. 6. A term without samples is zero but stays in the graph, as DDP demands.

    mask_logits: [B, 1, h, w] float
    class_logits: [B, 2] float, or None in the paper's stage 1, which has no image-level branch
    """
    pixels = focal_each(mask_logits, targets.mask, alpha=config.alpha, gamma=config.gamma)
    images = (
        0 * pixels.mean(dim=(1, 2, 3))
        if class_logits is None
        else cross_entropy_each(class_logits[:, 1] - class_logits[:, 0], targets.p_mass)
    )
    strong, weak, sizes = targets.is_strong, ~targets.is_strong, targets.group_sizes
    if config.pixel_mean == "positive":
        per_image, kind = pixels.sum(dim=(1, 2, 3)), "cells"
    else:
        per_image, kind = pixels.mean(dim=(1, 2, 3)), "mask"
    if config.report_weights:
        sure = torch.where(weak, torch.maximum(targets.p_mass, 1 - targets.p_mass), 1.0)
        per_image, images = per_image * sure, images * sure
    mask_strong = _mean_over(per_image, strong & targets.has_mask, size=sizes[f"{kind}_strong"])
    mask_weak = _mean_over(per_image, weak & targets.has_mask, size=sizes[f"{kind}_weak"])
    class_strong = _mean_over(images, strong, size=sizes["class_strong"])
    class_weak = _mean_over(images, weak, size=sizes["class_weak"])
    total = (
        mask_strong + config.class_strong * class_strong + config.mask_weak * mask_weak + config.class_weak * class_weak
    )
    return LossTerms(total, mask_strong, class_strong, mask_weak, class_weak)


def cells_with_mass(targets: Targets) -> dict[str, Tensor]:
    """Return how much mass the masks of each mask term hold, in cells: cells_strong, cells_weak (scalars).

    A mask of probabilities counts with its sum. Of one worker's share of a batch.
    """
    per_image = (targets.mask.sum(dim=(1, 2, 3)) * targets.has_mask).double()
    strong = (per_image * targets.is_strong).sum()
    return {"cells_strong": strong, "cells_weak": per_image.sum() - strong}


def _mean_over(values: Tensor, chosen: Tensor, *, size: float) -> Tensor:
    return (values * chosen).sum() / max(size, 1e-6) if size else (values * 0).sum()
