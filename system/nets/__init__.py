"""Networks: timm's backbones for one gray channel, the bilateral two-view network, and its weights on disk."""

from typing import TYPE_CHECKING

from system.lazy import exported_by

if TYPE_CHECKING:
    from system.nets.backbone import has_depthwise
    from system.nets.btv import BilateralTwoViewNet, NetOutput
    from system.nets.config import NetConfig
    from system.nets.synced_norm import with_synced_norms
    from system.nets.weights import ModelCard, read_card, read_weights, weights_digest, write_model

__all__ = [
    "BilateralTwoViewNet",
    "ModelCard",
    "NetConfig",
    "NetOutput",
    "has_depthwise",
    "read_card",
    "read_weights",
    "weights_digest",
    "with_synced_norms",
    "write_model",
]

__getattr__ = exported_by(__name__, "config", "weights", "btv", "backbone", "synced_norm")
