"""Batch norm over the images of all workers, on any device; torch has it for GPUs only."""

from functools import cache
from typing import Any

import torch
from torch import Tensor, distributed, nn
from torch.distributed.nn.functional import all_reduce


class SyncedBatchNorm2d(nn.BatchNorm2d):
    """BatchNorm2d whose means and variances in training are those of the images of all workers together.

    Any device, any backend of torch.distributed.
    """

    def forward(self, input: Tensor) -> Tensor:  # noqa: A002 - torch's own name for it
        """Normalise input [B, C, H, W]; computed in float32 at least, the sums in float64, as torch does on a CPU."""
        return _normalised(self, input) if _is_shared(self) else super().forward(input)


@cache
def _with_activation() -> type[nn.BatchNorm2d]:
    """Return the same of timm's batch norm with an activation in it, as DenseNet has; timm is imported by then."""
    from timm.layers import BatchNormAct2d

    timms: Any = BatchNormAct2d  # its attributes have no types

    class SyncedBatchNormAct2d(timms):
        def forward(self, x: Tensor) -> Tensor:
            return self.act(self.drop(_normalised(self, x))) if _is_shared(self) else super().forward(x)

    return SyncedBatchNormAct2d


def _is_shared(norm: nn.BatchNorm2d) -> bool:
    return norm.training and distributed.get_world_size() > 1


def _normalised(norm: nn.BatchNorm2d, given: Tensor) -> Tensor:
    """Return [B, C, H, W] by the means and variances of all workers' images; the running ones are updated."""
    values = given.to(torch.promote_types(given.dtype, torch.float32))
    count = torch.tensor(values.numel() / values.shape[1], dtype=torch.float64, device=values.device)
    distributed.all_reduce(count)
    mean = all_reduce(values.sum((0, 2, 3), dtype=torch.float64)) / count
    centred = values - mean.to(values.dtype).view(1, -1, 1, 1)
    variance = all_reduce((centred * centred).sum((0, 2, 3), dtype=torch.float64)) / count
    _update_running(norm, mean.detach(), variance.detach() * count / (count - 1))
    scale = (torch.rsqrt(variance + norm.eps) * norm.weight).to(values.dtype)
    return (centred * scale.view(1, -1, 1, 1) + norm.bias.view(1, -1, 1, 1)).to(given.dtype)


def _update_running(norm: nn.BatchNorm2d, mean: Tensor, variance: Tensor) -> None:
    assert norm.running_mean is not None
    assert norm.running_var is not None
    assert norm.momentum is not None
    norm.running_mean.lerp_(mean.to(norm.running_mean.dtype), norm.momentum)
    norm.running_var.lerp_(variance.to(norm.running_var.dtype), norm.momentum)
    assert norm.num_batches_tracked is not None
    norm.num_batches_tracked.add_(1)


def with_synced_norms(model: nn.Module) -> nn.Module:
    """Replace every batch norm of a model in place and return the model; state dicts and activations stay the same.

    On a GPU these are the synchronised norms of torch and timm, elsewhere ours.
    """
    if next(model.parameters()).is_cuda:
        from timm.layers import convert_sync_batchnorm  # torch's own would drop the activation of timm's norms

        return convert_sync_batchnorm(model)
    for module in model.modules():
        # the classes add no state: weights, buffers and settings stay where they are
        if type(module) is nn.BatchNorm2d:
            module.__class__ = SyncedBatchNorm2d
        elif type(module).__name__ == "BatchNormAct2d":
            module.__class__ = _with_activation()
    return model
