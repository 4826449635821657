"""The two trunks of a bilateral network: HRNet split at stage 3, or a pyramid of timm's with a U-shaped decoder."""

import re
from abc import ABC, abstractmethod
from collections.abc import Iterator

import torch
from torch import Tensor, nn
from torch.nn import functional

from system.nets.backbone import make_hrnet, make_pyramid

NUM_CLASSES = 2

_BLOCK = re.compile(r"(?:^|_)(?:(?:layer|stage|block)s?_?|denseblock|s)\d+$")
"""Names of timm's blocks: layer1 (ResNet), blocks_0 (EfficientNet), stages_0 (ConvNeXt), features_denseblock1, s1."""


class Trunk(nn.Module, ABC):
    """The interface of both trunks. Maps are lists of [B, C, h, w] by stride, finest (4) first."""

    joined: list[int]  # channels of the maps at which two breasts are joined
    channels: list[int]  # channels of the maps for the heads, strides 4, 8, 16, 32

    @abstractmethod
    def early(self, image: Tensor) -> list[Tensor]:
        """Return the maps to join, of each breast by itself.

        image: [B, 1, H, W] float, 0 to 1, H and W multiples of 32
        """

    @abstractmethod
    def late(self, joined: list[Tensor]) -> list[Tensor]:
        """Return the maps for the heads."""

    @abstractmethod
    def class_logits(self, maps: list[Tensor]) -> Tensor:
        """Return logits [B, 2] of no mass and mass. maps: the result of `late`."""

    @abstractmethod
    def classification_modules(self) -> list[nn.Module]:
        """Return the modules of the image-level branch alone."""

    @abstractmethod
    def blocks(self) -> list[list[nn.Module]]:
        """Return timm's modules from the input on: those of the stem, then those of each block.

        The image-level branch belongs to none. A list of the stem alone: the blocks cannot be told apart.
        """

    def pretrained_modules(self) -> list[nn.Module]:
        """Return all of timm's modules but the image-level branch; the weights of ImageNet are theirs."""
        return [module for block in self.blocks() for module in block]


def make_trunk(name: str, *, pretrained: bool, weights: str, decoder_width: int) -> Trunk:
    """Return the trunk on timm's model of this name; raises what `make_hrnet` and `make_pyramid` raise.

    decoder_width: channels of a pyramid's decoder; HRNet has none
    """
    if name.startswith("hrnet"):
        return HrnetTrunk(name, pretrained=pretrained, weights=weights)
    return PyramidTrunk(name, pretrained=pretrained, weights=weights, decoder_width=decoder_width)


class HrnetTrunk(Trunk):
    """HRNet; the breasts are joined at the three branches after stage 3 (Tang et al. 2021, section 3.1)."""

    def __init__(self, name: str, *, pretrained: bool, weights: str) -> None:
        super().__init__()
        self.net = make_hrnet(name, pretrained=pretrained, weights=weights)
        self.joined = list(self.net.stage3_cfg["num_channels"])
        self.channels = list(self.net.stage4_cfg["num_channels"])

    def early(self, image: Tensor) -> list[Tensor]:
        """Run stages 1 to 3; see `Trunk`."""
        net = self.net
        stem = net.act2(net.bn2(net.conv2(net.act1(net.bn1(net.conv1(image))))))
        first = net.layer1(stem)
        branches = net.stage2([move(first) for move in net.transition1])
        moved = [
            branches[i] if isinstance(move, nn.Identity) else move(branches[-1])
            for i, move in enumerate(net.transition2)
        ]
        return net.stage3(moved)

    def late(self, joined: list[Tensor]) -> list[Tensor]:
        """Run stage 4; see `Trunk`."""
        net = self.net
        moved = [
            joined[i] if isinstance(move, nn.Identity) else move(joined[-1]) for i, move in enumerate(net.transition3)
        ]
        return net.stage4(moved)

    def class_logits(self, maps: list[Tensor]) -> Tensor:
        """Run HRNet's own head; see `Trunk`."""
        net = self.net
        raised = [raise_channels(branch) for raise_channels, branch in zip(net.incre_modules, maps, strict=True)]  # type: ignore[arg-type]
        total = raised[0]
        for lower, branch in zip(net.downsamp_modules, raised[1:], strict=True):  # type: ignore[arg-type]
            total = branch + lower(total)
        return net.forward_head(net.final_layer(total))  # type: ignore[misc]

    def classification_modules(self) -> list[nn.Module]:
        """See `Trunk`."""
        net = self.net
        return [net.incre_modules, net.downsamp_modules, net.final_layer, net.classifier]  # type: ignore[list-item]

    def blocks(self) -> list[list[nn.Module]]:
        """Return HRNet's stem and its four stages, each with the transition before it; see `Trunk`."""
        net = self.net
        return [
            [net.conv1, net.bn1, net.conv2, net.bn2],
            [net.layer1],
            [net.transition1, net.stage2],
            [net.transition2, net.stage3],
            [net.transition3, net.stage4],
        ]


class PyramidTrunk(Trunk):
    """ResNet, DenseNet and similar models, joined at every stride; then a decoder up to stride 4, as in a U-Net."""

    def __init__(self, name: str, *, pretrained: bool, weights: str, decoder_width: int) -> None:
        super().__init__()
        self.net, self.joined = make_pyramid(name, pretrained=pretrained, weights=weights)
        self.channels = [decoder_width] * len(self.joined)
        self.lateral = nn.ModuleList(nn.Conv2d(width, decoder_width, 1) for width in self.joined)
        self.smooth = nn.ModuleList(
            nn.Sequential(
                nn.Conv2d(width, width, 3, padding=1, bias=False), nn.BatchNorm2d(width), nn.ReLU(inplace=True)
            )
            for width in self.channels
        )
        self.classifier = nn.Linear(decoder_width, NUM_CLASSES)

    def early(self, image: Tensor) -> list[Tensor]:
        """Run the whole of timm's model; see `Trunk`."""
        return self.net(image)

    def late(self, joined: list[Tensor]) -> list[Tensor]:
        """Run the decoder; see `Trunk`."""
        maps = [lateral(given) for lateral, given in zip(self.lateral, joined, strict=True)]
        for finer in range(len(maps) - 2, -1, -1):
            maps[finer] = maps[finer] + functional.interpolate(
                maps[finer + 1], size=maps[finer].shape[-2:], mode="nearest"
            )
        return [smooth(given) for smooth, given in zip(self.smooth, maps, strict=True)]

    def class_logits(self, maps: list[Tensor]) -> Tensor:
        """Average the coarsest map and classify; see `Trunk`."""
        return self.classifier(torch.mean(maps[-1], dim=(2, 3)))

    def classification_modules(self) -> list[nn.Module]:
        """See `Trunk`."""
        return [self.classifier]

    def blocks(self) -> list[list[nn.Module]]:
        """Return timm's modules cut where a block begins, by their names; see `Trunk`."""
        found: list[list[nn.Module]] = [[]]
        for name, module in _flat(self.net):
            if _BLOCK.search(name):
                found.append([])
            found[-1].append(module)
        return found


def _flat(net: nn.Module) -> Iterator[tuple[str, nn.Module]]:
    """Give the parts of timm's model in order; those models that keep their blocks in one part give each block."""
    for name, module in net.named_children():
        if name == "blocks":
            yield from ((f"{name}_{number}", block) for number, block in module.named_children())
        else:
            yield name, module
