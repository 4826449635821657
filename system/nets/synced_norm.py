"""Batch norm over the images of all workers, on any device; torch has it for GPUs only."""

import torch
from torch import Tensor, distributed, nn
from torch.distributed.nn.functional import all_reduce


class SyncedBatchNorm2d(nn.BatchNorm2d):
    """BatchNorm2d whose means and variances in training are those of the images of all workers together.

    Any device, any backend of torch.distributed.
    """

    def forward(self, input: Tensor) -> Tensor:  # noqa: A002 - torch's own name for it
        """Normalise input [B, C, H, W]; computed in float32 at least, the sums in float64, as torch does on a CPU."""
        if not self.training or distributed.get_world_size() == 1:
            return super().forward(input)
        values = input.to(torch.promote_types(input.dtype, torch.float32))
        count = torch.tensor(values.numel() / values.shape[1], dtype=torch.float64, device=values.device)
        distributed.all_reduce(count)
        mean = all_reduce(values.sum((0, 2, 3), dtype=torch.float64)) / count
        centred = values - mean.to(values.dtype).view(1, -1, 1, 1)
        variance = all_reduce((centred * centred).sum((0, 2, 3), dtype=torch.float64)) / count
        self._update_running(mean.detach(), variance.detach() * count / (count - 1))
        scale = (torch.rsqrt(variance + self.eps) * self.weight).to(values.dtype)
        return (centred * scale.view(1, -1, 1, 1) + self.bias.view(1, -1, 1, 1)).to(input.dtype)

    def _update_running(self, mean: Tensor, variance: Tensor) -> None:
        assert self.running_mean is not None
        assert self.running_var is not None
        assert self.momentum is not None
        self.running_mean.lerp_(mean.to(self.running_mean.dtype), self.momentum)
        self.running_var.lerp_(variance.to(self.running_var.dtype), self.momentum)
        assert self.num_batches_tracked is not None
        self.num_batches_tracked.add_(1)


def with_synced_norms(model: nn.Module) -> nn.Module:
    """Replace every batch norm of a model in place and return the model; state dicts stay the same.

    On a GPU these are torch's synchronised norms, elsewhere ours.
    """
    if next(model.parameters()).is_cuda:
        return nn.SyncBatchNorm.convert_sync_batchnorm(model)
    for module in model.modules():
        if type(module) is nn.BatchNorm2d:
            # the class adds no state: weights, buffers and settings stay where they are
            module.__class__ = SyncedBatchNorm2d
    return model
