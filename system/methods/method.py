"""What a trainable method must supply to take part in the loop."""

import math
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Protocol

from torch import Tensor, nn

from system.losses import LossConfig, LossTerms, Targets
from system.nets import NetConfig


@dataclass(frozen=True, slots=True)
class Batch:
    """One worker's share of a mini-batch, on the device it is trained on."""

    main: Tensor  # [B, 1, H, W] float, 0 to 1, chest wall on the left
    auxiliary: Tensor  # [B, 1, H, W] float, 0 to 1; all-zero = no other breast
    targets: Targets
    seeds: Tensor  # [B] int64, on the CPU: seed of each sample's augmentation
    image_keys: Tensor  # [B] int64, on the CPU: archive keys of the images, for messages

    def parts(self, size: int) -> list["Batch"]:
        """Cut the batch into n parts of at most `size` samples; 0 = leave it whole.

        A part takes every n-th sample, so that each part holds positives. The group sizes stay those of the whole
        batch, so that the losses of the parts add up to the loss of the whole.
        """
        num = math.ceil(len(self.main) / size) if size else 1
        return [self._part(slice(first, None, num)) for first in range(num)] if num > 1 else [self]

    def _part(self, rows: slice) -> "Batch":
        named = {name: getattr(self.targets, name)[rows] for name in ("mask", "p_mass", "is_strong", "has_mask")}
        return Batch(
            self.main[rows],
            self.auxiliary[rows],
            replace(self.targets, **named),
            self.seeds[rows],
            self.image_keys[rows],
        )


class Method(Protocol):
    """Build, train, save and use one kind of network."""

    name: str

    def build(self, net: NetConfig) -> nn.Module:
        """Return an untrained (or ImageNet-started) network."""
        ...

    def load(self, checkpoint: Path, device: str) -> nn.Module:
        """Return the network of a checkpoint in eval mode. Raises UserError when it is absent or of another method."""
        ...

    def losses(self, model: nn.Module, batch: Batch, *, config: LossConfig, classify: bool) -> LossTerms:
        """Run the network on a batch and return the loss terms; classify: whether the image-level branch is trained."""
        ...

    def predict(self, model: nn.Module, left: Tensor, right: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Return mask logits of left and right [B, 1, h, w] and image-level p_mass of left and right [B].

        left, right: [B, 1, H, W] float, 0 to 1

        p_mass is NaN while the image-level branch has not been trained.
        """
        ...

    def parameter_groups(
        self, model: nn.Module, *, learning_rate: float, class_factor: float, backbone_factor: float = 1.0
    ) -> list[dict[str, Any]]:
        """Return the optimiser's groups, that with the plain rate first.

        class_factor: how many times as fast the image-level branch learns, 0 = not at all
        backbone_factor: how many times as fast the modules that start from ImageNet's weights learn
        """
        ...
