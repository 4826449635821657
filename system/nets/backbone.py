"""Networks from timm with one gray channel, and ImageNet weights from a hub, a file, or none on purpose.

timm is imported where a network is built: it takes twice the time of torch, and most processes build none.
"""

import logging
from difflib import get_close_matches
from typing import TYPE_CHECKING, Any

import torch
from torch import nn

from system.errors import UserError
from system.nets.config import HUB, local_weights

if TYPE_CHECKING:
    from timm.models.hrnet import HighResolutionNet

log = logging.getLogger(__name__)

STRIDES = (4, 8, 16, 32)
"""Strides of the maps that a pyramid must have."""


def check_name(name: str) -> None:
    """Raise UserError where timm has no model of this name."""
    import timm

    if not timm.is_model(name):
        near = get_close_matches(name, timm.list_models(), n=5)
        raise UserError(f"net.backbone: timm has no model {name!r}{'; near to it: ' + ', '.join(near) if near else ''}")


def make_hrnet(name: str, *, pretrained: bool, weights: str) -> "HighResolutionNet":
    """Return the network; the ImageNet classifier is dropped, the rest of its head is kept.

    weights: hub id (`hf-hub:owner/name`), local file, or empty for timm's own; ignored unless `pretrained`

    Raises UserError for a name that is no HRNet, or when the weights are not available or of another network.
    """
    import timm
    from timm.models.hrnet import HighResolutionNet

    known = timm.list_models("hrnet*")
    if name.partition(".")[0] not in known:
        raise UserError(f"net.backbone: {name!r} is no HRNet; choose one of {', '.join(known)}")
    model = _create(name, pretrained=pretrained, weights=weights, num_classes=2)
    assert isinstance(model, HighResolutionNet)
    return model


def make_pyramid(name: str, *, pretrained: bool, weights: str) -> tuple[nn.Module, list[int]]:
    """Return timm's model without its head, which gives maps at strides 4, 8, 16 and 32, and the channels of each.

    weights: as for `make_hrnet`

    Raises UserError for a name that timm does not have, a model without such maps, or weights as in `make_hrnet`.
    """
    import timm

    check_name(name)
    try:
        with torch.device("meta"):  # the structure alone, no memory for weights
            info: Any = timm.create_model(name, features_only=True).feature_info
        places = [info.reduction().index(stride) for stride in STRIDES]
    except (AttributeError, RuntimeError, ValueError) as error:
        raise UserError(
            f"net.backbone: {name} has no maps at strides {STRIDES}; choose a ResNet, DenseNet, ConvNeXt or the like"
        ) from error
    model = _create(name, pretrained=pretrained, weights=weights, features_only=True, out_indices=places)
    return model, info.channels(places)


def has_depthwise(model: nn.Module) -> bool:
    """Return whether the network has depthwise convolutions, as EfficientNet, MobileNet and ConvNeXt do."""
    convolutions = (module for module in model.modules() if isinstance(module, nn.Conv2d))
    return any(convolution.groups == convolution.in_channels > 1 for convolution in convolutions)


def _create(name: str, *, pretrained: bool, weights: str, **options: Any) -> nn.Module:
    """Create timm's model for one gray channel.

    Raises UserError when the weights are not available or of another network.
    """
    import timm

    source = _source(weights) if pretrained else {}
    try:
        model = timm.create_model(
            name, in_chans=1, pretrained=pretrained, pretrained_cfg_overlay=source or None, **options
        )
        missing = _missing(timm.create_model(name, in_chans=1), source["file"]) if "file" in source else []
    except (OSError, RuntimeError) as error:
        raise UserError(
            f"net.pretrained: the weights of {name} could not be loaded ({type(error).__name__}); "
            "give a local file in net.weights, or set net.pretrained to false to start from random weights"
        ) from error
    if missing:
        raise UserError(
            f"net.weights: the file lacks {len(missing)} tensors of {name}, first {missing[0]}; "
            "give a file of this backbone"
        )
    log.info(
        "backbone %s, %s",
        name,
        "ImageNet weights, classifier dropped" if pretrained else "random weights (net.pretrained is false)",
    )
    return model


def _source(weights: str) -> dict[str, str]:
    if weights.startswith(HUB):
        return {"hf_hub_id": weights.removeprefix(HUB)}
    return {"file": str(local_weights(weights))} if weights else {}


def _missing(model: nn.Module, file: str) -> list[str]:
    """Return the tensors that stayed random, which timm does not report; those of the classifier are left out.

    The classifier is meant to start from random weights.
    """
    from timm.models import load_state_dict

    found, classifier = load_state_dict(file), str(model.pretrained_cfg["classifier"])  # type: ignore[index]
    return [
        name
        for name in model.state_dict()
        if not name.startswith(classifier) and "num_batches" not in name and name not in found
    ]
