"""The settings of a network, and the place of its weights."""

from pathlib import Path
from typing import Self

from pydantic import Field

from system.errors import UserError
from system.settings import Settings

HUB = "hf-hub:"  # begins a hub id in net.weights


class NetConfig(Settings):
    """Which backbone, where its weights come from, and where its outputs start."""

    # timm name: hrnet_w18_small … hrnet_w64, or any with maps at strides 4 to 32 (resnet50, densenet121, …)
    backbone: str = "hrnet_w48"
    pretrained: bool = True  # start from ImageNet weights; False = from random weights, on purpose
    weights: str = ""  # hub id (hf-hub:owner/name) or local file; empty = timm's own for the backbone
    prior: float = Field(default=0.01, gt=0, lt=1)  # probability of mass that the untrained mask head gives everywhere
    decoder_width: int = Field(default=128, ge=1)  # channels of the decoder of backbones that are no HRNet
    # The network reads (x - mean) / sd of gray values from 0 to 1; 0 and 1 = as they are.
    input_mean: float = 0.0
    input_sd: float = Field(default=1.0, gt=0)
    # The backbone's stem and this many blocks after it stay as they start, with the statistics of their norms; a block
    # is a stage of HRNet, a layer of ResNet, an entry of `blocks` of EfficientNet. 0 = the whole backbone learns.
    frozen_blocks: int = Field(default=0, ge=0)

    def located(self) -> Self:
        """Return the config with a local file of weights named by its full path: workers stand in other folders.

        Raises UserError where there is no such file.
        """
        if not self.pretrained or not self.weights or self.weights.startswith(HUB):
            return self
        return self.changed(weights=str(local_weights(self.weights).resolve()))


def local_weights(name: str) -> Path:
    """Return the file of net.weights. Raises UserError where there is none."""
    if not Path(name).is_file():
        raise UserError(
            f"net.weights: no file at {name!r}; give an existing file (`mammoloop weights convert` writes one), "
            "a hub id, or set net.pretrained to false"
        )
    return Path(name)
