"""The bilateral two-view network (Tang et al. 2021, section 3.1).

One trunk serves both breasts; their maps are joined half-way.
"""

import math
from typing import NamedTuple, Self

import torch
from torch import Tensor, nn
from torch.nn import functional

from system.errors import UserError
from system.nets.config import NetConfig
from system.nets.gradient_share import with_gradient_share
from system.nets.trunks import make_trunk


class NetOutput(NamedTuple):
    """The result of one forward pass."""

    mask_logits: Tensor  # [B, 1, h, w] float, stride 4
    class_logits: Tensor | None  # [B, 2] float: no mass, mass; None when the branch was not run


class MaskHead(nn.Module):
    """All branches at stride 4, joined, then one logit a pixel (docs/method.md, Bilateral two-view network)."""

    def __init__(self, channels: list[int], *, prior: float) -> None:
        super().__init__()
        width = sum(channels)
        self.mix = nn.Sequential(nn.Conv2d(width, width, 1), nn.BatchNorm2d(width), nn.ReLU(inplace=True))
        self.classify = nn.Conv2d(width, 1, 1)
        nn.init.normal_(self.classify.weight, std=0.01)
        assert self.classify.bias is not None
        nn.init.constant_(self.classify.bias, math.log(prior / (1 - prior)))

    def forward(self, branches: list[Tensor]) -> Tensor:
        """Return logits [B, 1, h, w]. branches: maps at stride 4, 8, 16 and 32."""
        size = branches[0].shape[-2:]
        raised = [
            branches[0],
            *(functional.interpolate(b, size=size, mode="bilinear", align_corners=False) for b in branches[1:]),
        ]
        return self.classify(self.mix(torch.cat(raised, dim=1)))


class BilateralTwoViewNet(nn.Module):
    """Segments the main breast, with the same view of the other breast as a second input.

    Both breasts share one trunk, so the part before the join (HRNet: stages 1 to 3) runs once for each breast. An
    all-zero auxiliary image means that there is no other breast: its maps are zeros.
    """

    def __init__(self, config: NetConfig) -> None:
        """Raises UserError for a backbone that does not exist or has fewer blocks, or without its weights."""
        super().__init__()
        self.config = config
        self.classifies = True  # False for weights whose image-level branch was never trained
        self.trunk = make_trunk(
            config.backbone, pretrained=config.pretrained, weights=config.weights, decoder_width=config.decoder_width
        )
        self.join = nn.ModuleList(
            nn.Sequential(nn.Conv2d(2 * width, width, 1, bias=False), nn.BatchNorm2d(width), nn.ReLU(inplace=True))
            for width in self.trunk.joined
        )
        self.mask_head = MaskHead(self.trunk.channels, prior=config.prior)
        for part in self._frozen():
            part.requires_grad_(requires_grad=False)

    def _frozen(self) -> list[nn.Module]:
        """Return the modules of the backbone that do not learn. Raises UserError for more blocks than it has."""
        if not (wanted := self.config.frozen_blocks):
            return []
        blocks = self.trunk.blocks()
        if wanted >= len(blocks):
            known = f"has {len(blocks) - 1} blocks" if len(blocks) > 1 else "has no blocks that can be told apart"
            raise UserError(
                f"net.frozen_blocks is {wanted}, but {self.config.backbone} {known}: lower it (0 = nothing is frozen), "
                "or choose a backbone with more, such as a ResNet, EfficientNet or ConvNeXt"
            )
        return [module for block in blocks[: wanted + 1] for module in block]

    def train(self, mode: bool = True) -> Self:
        """Set training or eval mode; what is frozen stays in eval mode, so that its norms keep their statistics."""
        super().train(mode)
        for part in self._frozen():
            part.eval()
        return self

    def pretrained_modules(self) -> list[nn.Module]:
        """Return the modules that start from ImageNet's weights, but for the image-level branch."""
        return self.trunk.pretrained_modules()

    def classification_modules(self) -> list[nn.Module]:
        """Return the modules of the image-level branch, which has its own rate (Tang et al. 2021, section 4.2)."""
        return self.trunk.classification_modules()

    def _early(self, images: Tensor) -> list[Tensor]:
        """Return the trunk's early maps. images: [B, 1, H, W] float, 0 to 1."""
        mean, sd = self.config.input_mean, self.config.input_sd
        return self.trunk.early(images if (mean, sd) == (0, 1) else (images - mean) / sd)

    def late(self, main: list[Tensor], auxiliary: list[Tensor]) -> list[Tensor]:
        """Return the main image's maps for the heads, strides 4 to 32. main, auxiliary: the trunk's early maps."""
        pairs = zip(main, auxiliary, strict=True)
        return self.trunk.late([join(torch.cat(maps, dim=1)) for join, maps in zip(self.join, pairs, strict=True)])

    def heads(self, branches: list[Tensor], *, classify: bool, class_gradient: float = 1.0) -> NetOutput:
        """Return mask logits and, with `classify`, class logits from the trunk's late maps.

        class_gradient: share of the class logits' gradient that goes on into the maps, 0 to 1; changes no value
        """
        class_logits = None
        if classify:
            class_logits = self.trunk.class_logits([with_gradient_share(maps, class_gradient) for maps in branches])
        return NetOutput(self.mask_head(branches), class_logits)

    def forward(
        self, main: Tensor, auxiliary: Tensor, *, classify: bool = True, class_gradient: float = 1.0
    ) -> NetOutput:
        """Return one output per main image. main, auxiliary: [B, 1, H, W] float, 0 to 1; else as in `heads`.

        In training absent breasts do not go through the trunk, so its batch norms learn from breasts alone. The trunk's
        batch then varies in size, so a compiled network is compiled once more, for any size.
        """
        present = _present(auxiliary)
        if self.training and not present.all():
            first, second = self._early_of_present(main, auxiliary, present=present)
        else:
            first, second = _halves(self._early(torch.cat([main, auxiliary])))
            second = _where(present, second)
        return self.heads(self.late(first, second), classify=classify, class_gradient=class_gradient)

    def _early_of_present(
        self, main: Tensor, auxiliary: Tensor, *, present: Tensor
    ) -> tuple[list[Tensor], list[Tensor]]:
        """Return the early maps of both; the absent auxiliary images are not run. present: [B] bool."""
        maps = self._early(torch.cat([main, _chosen(auxiliary, present)]))
        first = [branch[: len(main)] for branch in maps]
        return first, [_spread(branch[len(main) :], present) for branch in maps]

    def forward_pair(self, left: Tensor, right: Tensor, *, classify: bool = True) -> tuple[NetOutput, NetOutput]:
        """Segment both breasts of a pair, each with the other as auxiliary image.

        left, right: [B, 1, H, W] float, 0 to 1, chest wall on the left in both; all-zero = that breast is missing

        The part of the network before the join runs once for each breast.
        """
        first, second = _halves(self._early(torch.cat([left, right])))
        mains = [torch.cat(maps) for maps in zip(first, second, strict=True)]
        present = _where(_present(right), second), _where(_present(left), first)
        others = [torch.cat(maps) for maps in zip(*present, strict=True)]
        both = self.heads(self.late(mains, others), classify=classify)
        masks = both.mask_logits.chunk(2)
        classes = (None, None) if both.class_logits is None else both.class_logits.chunk(2)
        return NetOutput(masks[0], classes[0]), NetOutput(masks[1], classes[1])


def _halves(branches: list[Tensor]) -> tuple[list[Tensor], list[Tensor]]:
    pairs = [branch.chunk(2) for branch in branches]
    return [pair[0] for pair in pairs], [pair[1] for pair in pairs]


def _present(images: Tensor) -> Tensor:
    """Return which images show a breast, [B] bool. images: [B, 1, H, W]."""
    return images.amax(dim=(1, 2, 3)) > 0


def _where(present: Tensor, maps: list[Tensor]) -> list[Tensor]:
    """Return the maps, zeros where no breast is present. present: [B] bool."""
    return [branch * present.view(-1, 1, 1, 1).to(branch.dtype) for branch in maps]


# A number of images that is known only at run time: torch.compile leaves the two that depend on it alone.
@torch.compiler.disable()
def _chosen(images: Tensor, chosen: Tensor) -> Tensor:
    return images[chosen]


@torch.compiler.disable()
def _spread(maps: Tensor, chosen: Tensor) -> Tensor:
    """Return the maps in the places of the chosen, zeros in the others, [B, C, h, w]. chosen: [B] bool."""
    shape = (len(chosen), *maps.shape[1:])
    zeros = torch.zeros(shape, dtype=maps.dtype, device=maps.device).to(memory_format=torch.channels_last)
    return zeros.index_put((chosen,), maps)
