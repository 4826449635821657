"""Losses against soft labels: cross-entropy, focal loss, and their weighted sum (Tang et al. 2021, eq. 4 to 6)."""

from typing import TYPE_CHECKING

from system.lazy import exported_by

if TYPE_CHECKING:
    from system.losses.config import LossConfig
    from system.losses.soft import soft_cross_entropy, soft_focal_loss
    from system.losses.total import LossTerms, Targets, cells_with_mass, total_loss

__all__ = [
    "LossConfig",
    "LossTerms",
    "Targets",
    "cells_with_mass",
    "soft_cross_entropy",
    "soft_focal_loss",
    "total_loss",
]

__getattr__ = exported_by(__name__, "config", "soft", "total")
