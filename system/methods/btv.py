"""The method of Tang et al. 2021: the bilateral two-view network with soft focal and soft cross-entropy losses."""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from system.errors import UserError
from system.losses import LossConfig, LossTerms, total_loss
from system.methods.method import Batch
from system.nets import BilateralTwoViewNet, NetConfig, NetOutput, read_card, read_weights


class BTV:
    """See `Method` for the contract of each part."""

    name = "btv"

    def build(self, net: NetConfig) -> BilateralTwoViewNet:
        """Return the network of `net`."""
        return BilateralTwoViewNet(net)

    def load(self, checkpoint: Path, device: str) -> BilateralTwoViewNet:
        """Return the checkpoint's network in eval mode.

        Raises UserError when there is no checkpoint, it is of another method, or its weights do not fit its card.
        """
        card = read_card(checkpoint)
        if card.method != self.name:
            raise UserError(
                f"checkpoint {checkpoint.name} holds method {card.method!r}, expected {self.name!r}: "
                "set the method that it was made with"
            )
        model = BilateralTwoViewNet(NetConfig(**card.net).changed(pretrained=False))
        try:
            model.load_state_dict(read_weights(checkpoint))
        except RuntimeError as error:
            found = " ".join(str(error).split())[:300]
            raise UserError(
                f"checkpoint {checkpoint.name}: its weights do not fit the network of its card ({found}); take another"
            ) from error
        model.classifies = card.classifies
        return model.eval().to(torch.device(device)).to(memory_format=torch.channels_last)

    def losses(self, model: nn.Module, batch: Batch, *, config: LossConfig, classify: bool) -> LossTerms:
        """Return eq. 6 on the batch."""
        output = model(batch.main, batch.auxiliary, classify=classify, class_gradient=config.class_gradient)
        return total_loss(output.mask_logits, output.class_logits, batch.targets, config=config)

    def predict(self, model: nn.Module, left: Tensor, right: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Return mask logits and image-level probabilities of both breasts; see `Method`."""
        assert isinstance(model, BilateralTwoViewNet)
        classify = model.classifies
        first, second = model.forward_pair(left, right, classify=classify)
        return first.mask_logits.float(), second.mask_logits.float(), _p_mass(first), _p_mass(second)

    def parameter_groups(
        self, model: nn.Module, *, learning_rate: float, class_factor: float, backbone_factor: float = 1.0
    ) -> list[dict[str, Any]]:
        """Return body, backbone where its rate is another, and image-level branch; what is frozen is in none.

        At class_factor 0 the branch is frozen.
        """
        assert isinstance(model, BilateralTwoViewNet)
        branch, backbone = _parameters(model.classification_modules()), _parameters(model.pretrained_modules())
        if class_factor == 0:
            for parameter in branch:
                parameter.requires_grad_(False)
        if backbone_factor == 1:
            backbone = []
        apart = {id(p) for p in (*branch, *backbone)}
        body = [p for p in model.parameters() if id(p) not in apart]
        groups = []
        for parameters, factor in ((body, 1.0), (backbone, backbone_factor), (branch, class_factor)):
            if learning := [p for p in parameters if p.requires_grad]:
                groups.append({"params": learning, "lr": learning_rate * factor, "factor": factor})
        return groups


def _parameters(modules: Iterable[nn.Module]) -> list[nn.Parameter]:
    return [parameter for module in modules for parameter in module.parameters()]


def _p_mass(output: NetOutput) -> Tensor:
    """Return the image-level probability of mass [B] float32; NaN where the branch gave no logits."""
    if output.class_logits is None:
        return torch.full((output.mask_logits.shape[0],), float("nan"), device=output.mask_logits.device)
    return torch.softmax(output.class_logits.float(), dim=1)[:, 1]
