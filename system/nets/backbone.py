"""HRNet from timm, with one gray channel and two classes; its ImageNet weights from a hub or a file, or none on purpose."""

import logging
from pathlib import Path

import timm
from timm.models.hrnet import HighResolutionNet

log = logging.getLogger(__name__)


def make_hrnet(name: str, *, pretrained: bool, weights: str) -> HighResolutionNet:
    """Return the network; the ImageNet classifier is dropped, the rest of its head is kept.

    weights: hub id (`hf-hub:owner/name`), local file, or empty for timm's own.
    Raises ValueError for a name that is no HRNet, RuntimeError when the weights cannot be had.
    """
    if not name.startswith("hrnet"):
        raise ValueError(f"net.backbone: {name!r} is no HRNet; choose one of {', '.join(timm.list_models('hrnet*'))}")
    overlay: dict[str, str] = {}
    if weights.startswith("hf-hub:"):
        overlay = {"hf_hub_id": weights.removeprefix("hf-hub:")}
    elif weights:
        if not Path(weights).is_file():
            raise RuntimeError(f"net.weights: no file at {weights!r}; give an existing file, a hub id, or set net.pretrained to false")
        overlay = {"file": weights}
    try:
        model = timm.create_model(name, in_chans=1, num_classes=2, pretrained=pretrained, pretrained_cfg_overlay=overlay or None)
    except (OSError, RuntimeError) as error:
        raise RuntimeError(
            f"net.pretrained: the weights of {name} could not be loaded ({type(error).__name__}); "
            "give a local file in net.weights, or set net.pretrained to false to start from random weights"
        ) from error
    log.info("backbone %s, %s", name, "ImageNet weights, classifier dropped" if pretrained else "random weights (net.pretrained is false)")
    assert isinstance(model, HighResolutionNet)
    return model
