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
    seeds: Tensor  # [B] int64, on the CPU: of each sample's augmentation
    image_keys: Tensor  # [B] int64, on the CPU: which images these are, for messages

    def parts(self, size: int) -> list["Batch"]:
        """Cut the batch into parts of at most `size` samples, every n-th to one, so that each holds positives; 0 = leave it whole.

        The group sizes stay those of the whole, so that the parts' losses add up to its loss.
        """
        num = math.ceil(len(self.main) / size) if size else 1
        return [self._part(slice(first, None, num)) for first in range(num)] if num > 1 else [self]

    def _part(self, rows: slice) -> "Batch":
        named = {name: getattr(self.targets, name)[rows] for name in ("mask", "p_mass", "is_strong", "has_mask")}
        return Batch(self.main[rows], self.auxiliary[rows], replace(self.targets, **named), self.seeds[rows], self.image_keys[rows])


class Method(Protocol):
    """Build, train, save and use one kind of network."""

    name: str

    def build(self, net: NetConfig) -> nn.Module:
        """Return an untrained (or ImageNet-started) network."""
        ...

    def load(self, checkpoint: Path, device: str) -> nn.Module:
        """Return the network of a checkpoint in eval mode. Raises ValueError when it is of another method."""
        ...

    def losses(self, model: nn.Module, batch: Batch, *, config: LossConfig, classify: bool) -> LossTerms:
        """Run the network on a batch and return the loss terms; classify: whether the image-level branch learns."""
        ...

    def predict(self, model: nn.Module, left: Tensor, right: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """left, right: [B, 1, H, W]; returns logits of both [B, 1, h, w] and the image-level p_mass of both [B].

        p_mass is NaN while the image-level branch has not been trained.
        """
        ...

    def parameter_groups(self, model: nn.Module, *, learning_rate: float, class_factor: float) -> list[dict[str, Any]]:
        """Return the optimiser's groups; the image-level branch learns class_factor times faster, 0 = not at all."""
        ...
