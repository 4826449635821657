"""One epoch of training, on any device, for any method."""

import logging
import math
import time
from collections.abc import Callable, Iterable
from contextlib import nullcontext
from dataclasses import dataclass, fields, replace

import torch
from torch import distributed, nn
from torch.nn.parallel import DistributedDataParallel
from torch.optim.swa_utils import AveragedModel

from system.errors import UserError
from system.losses import LossConfig, LossTerms, cells_with_mass
from system.methods import Batch, Method
from system.nets import has_depthwise
from system.training.augment import augment
from system.training.config import TrainConfig
from system.training.epoch_row import EpochResult
from system.training.rates import rate_factor
from system.training.tally import Tally

log = logging.getLogger(__name__)


class TrainingDivergedError(UserError):
    """The loss was not finite for too many steps in a row, or in a whole epoch."""


@dataclass(frozen=True)
class Learner:
    """What an epoch trains, and with what."""

    method: Method
    model: nn.Module  # possibly wrapped for several workers
    optimizer: torch.optim.Optimizer
    average: AveragedModel | None
    config: TrainConfig
    loss: LossConfig
    device: torch.device


def resolve_precision(precision: str, device: torch.device, *, trained: nn.Module | None = None) -> torch.dtype:
    """Return bf16 or fp32; `auto` takes bf16 where the hardware multiplies it natively.

    trained: the network, where it is trained and not only used. On CPUs `auto` leaves one with depthwise convolutions
        in fp32: their gradients take about twice the time in bf16 (benchmarks/precision.py).
    """
    if precision == "auto":
        if device.type == "cuda":
            faster = torch.cuda.is_bf16_supported()
        else:
            faster = _cpu_multiplies_bf16() and not (trained and has_depthwise(trained))
        return torch.bfloat16 if faster else torch.float32
    return {"fp32": torch.float32, "bf16": torch.bfloat16}[precision]


def _cpu_multiplies_bf16() -> bool:
    capabilities = torch.cpu.get_capabilities()
    # 3 and 1.7 times as fast as fp32 on a small HRNet
    return any(capabilities.get(name) for name in ("amx_bf16", "avx512_bf16"))


def run_epoch(
    learner: Learner,
    batches: Iterable[Batch],
    *,
    epoch: int,
    steps_per_epoch: int,
    tally: Tally | None = None,
    after_step: Callable[[Tally], None] | None = None,
) -> EpochResult:
    """Train on the batches and return the epoch's result.

    batches: those of the epoch that come after the steps of `tally`
    epoch: from 0
    tally: of the steps that an earlier process took in this epoch
    after_step: called with the new tally after every step, e.g. to keep a checkpoint
    Raises TrainingDivergedError after `max_bad_steps` steps in a row, or a whole epoch, without a finite loss.
    """
    tally = tally or Tally()
    if learner.device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(learner.device)
    mark = time.monotonic()
    for batch in batches:
        began = time.monotonic()
        _set_rate(learner, rate_factor(learner.config, epoch=epoch, step=tally.steps, steps_per_epoch=steps_per_epoch))
        losses, norm = _step(learner, batch)
        tally = tally.with_bad() if losses is None else tally.with_good(losses, gradient_norm=norm)
        tally = tally.with_work(images=len(batch.main), wait_s=began - mark, duration_s=time.monotonic() - mark)
        mark = time.monotonic()
        if tally.bad_in_a_row >= learner.config.max_bad_steps:
            keys = ", ".join(map(str, batch.image_keys.tolist()))
            raise TrainingDivergedError(
                f"the loss was not finite for {tally.bad_in_a_row} steps in a row (epoch {epoch + 1}), last with the "
                f"images of keys {keys}: look at them, or lower train.learning_rate"
            )
        if after_step is not None:
            after_step(tally)
    if tally.bad and not tally.good:
        raise TrainingDivergedError(
            f"no step of epoch {epoch + 1} had a finite loss ({tally.bad} steps): lower train.learning_rate"
        )
    return _result(learner, tally)


def _result(learner: Learner, tally: Tally) -> EpochResult:
    duration_s = max(tally.duration_s, 1e-9)
    losses = {name: value / max(tally.good, 1) for name, value in tally.losses.items()}
    return EpochResult(
        losses=_mean_over_workers(losses, learner.device),
        learning_rate=float(learner.optimizer.param_groups[0]["lr"]),
        gradient_norm=tally.gradient_norm / max(tally.good, 1),
        images_per_s=tally.images / duration_s,
        wait_share=tally.wait_s / duration_s,
        num_steps=tally.steps,
        bad_steps=tally.bad,
        gpu_memory_bytes=torch.cuda.max_memory_allocated(learner.device) if learner.device.type == "cuda" else 0,
    )


def _mean_over_workers(losses: dict[str, float], device: torch.device) -> dict[str, float]:
    """Return the losses that one worker with the whole batches would have had.

    It is the mean over the workers, since `group_sizes` has scaled each worker's terms for that.
    """
    if not distributed.is_initialized():
        return losses
    values = torch.tensor(list(losses.values()), dtype=torch.float64, device=device)
    distributed.all_reduce(values)
    return dict(zip(losses, (values / distributed.get_world_size()).tolist(), strict=True))


def _step(learner: Learner, batch: Batch) -> tuple[dict[str, float] | None, float]:
    """Take one optimiser step; return the loss terms and the L2 norm of the gradient.

    The terms are None when the loss or the gradient was not finite: the step was then skipped.
    """
    changed = augment(batch, config=learner.config.augment)
    if learner.loss.pixel_mean == "positive":
        changed = _with_cells(changed)
    statistics = [buffer.clone() for buffer in learner.model.buffers()]
    learner.optimizer.zero_grad(set_to_none=True)
    losses = _descend(learner, changed)
    norm = _gradient_norm(learner)
    if not math.isfinite(norm) or not math.isfinite(losses["total"]):
        log.warning("step skipped: the loss or its gradient is not finite")
        for buffer, before in zip(learner.model.buffers(), statistics, strict=True):
            buffer.copy_(before)  # the norms' running means hold the batch already
        return None, norm
    learner.optimizer.step()
    if learner.average is not None:
        learner.average.update_parameters(bare(learner.model))
    return losses, norm


def _with_cells(batch: Batch) -> Batch:
    """Return the batch with the cells that show a mass counted, of all workers together, at least 1 of each term."""
    found = cells_with_mass(batch.targets)
    num_workers = distributed.get_world_size() if distributed.is_initialized() else 1
    counts = torch.stack(list(found.values()))
    if num_workers > 1:
        distributed.all_reduce(counts)
    sizes = dict(zip(found, (counts.clamp_min(1) / num_workers).tolist(), strict=True))
    return replace(batch, targets=replace(batch.targets, group_sizes=batch.targets.group_sizes | sizes))


def _gradient_norm(learner: Learner) -> float:
    """Return the L2 norm of the gradient, which is clipped afterwards where the config asks for it."""
    learning = [parameter for parameter in learner.model.parameters() if parameter.grad is not None]
    norm = nn.utils.get_total_norm([parameter.grad for parameter in learning if parameter.grad is not None])
    if learner.config.gradient_norm:
        nn.utils.clip_grads_with_norm_(learning, learner.config.gradient_norm, norm)
    return float(norm)


def _descend(learner: Learner, batch: Batch) -> dict[str, float]:
    """Sum the gradients of the batch, in passes of `micro_batch_size` images; return the loss terms."""
    dtype = resolve_precision(learner.config.precision, learner.device, trained=learner.model)
    passes = batch.parts(learner.config.micro_batch_size)
    losses: dict[str, float] = {}
    for number, part in enumerate(passes, start=1):
        sync = (
            learner.model.no_sync()
            if number < len(passes) and isinstance(learner.model, DistributedDataParallel)
            else nullcontext()
        )
        with sync:  # workers exchange gradients once a step
            with torch.autocast(learner.device.type, dtype=dtype, enabled=dtype is not torch.float32):
                terms = learner.method.losses(
                    learner.model, part, config=learner.loss, classify=learner.config.class_factor > 0
                )
            terms.total.backward()
        for field in fields(LossTerms):
            losses[field.name] = losses.get(field.name, 0.0) + float(getattr(terms, field.name).detach())
    return losses


def bare(model: nn.Module) -> nn.Module:
    """Return the network without DDP's wrapper."""
    return model.module if isinstance(model, DistributedDataParallel) else model


def _set_rate(learner: Learner, factor: float) -> None:
    for group in learner.optimizer.param_groups:
        group["lr"] = learner.config.learning_rate * group["factor"] * factor
