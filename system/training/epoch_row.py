"""The row that a training writes after each epoch, into epochs.jsonl and TensorBoard."""

import math
from dataclasses import dataclass

from system.files.json_out import Measured
from system.records import P0, p0_text


@dataclass(frozen=True)
class EpochResult:
    """Means over the epoch's good steps and, of the losses, over all workers."""

    losses: dict[str, float]  # term -> mean; `total` is the one that is minimised
    learning_rate: float  # of the body, at the end
    gradient_norm: float  # L2, before clipping
    images_per_s: float
    wait_share: float  # share of the time spent waiting for data, 0 to 1
    num_steps: int
    bad_steps: int  # skipped, because loss or gradient was not finite
    gpu_memory_bytes: int  # most that was allocated at once; 0 on a CPU


@dataclass(frozen=True)
class EpochRow(EpochResult):
    """One epoch of a training, as rank 0 writes it; images_per_s is of all workers together."""

    epoch: int  # from 1
    num_epochs: int
    p0: P0  # a report counts above p0 and below 1 - p0; 0.5 to 1, 0 = trained without weak images
    samples: dict[str, int]  # role (samples.SampleRole) -> how many are in the index
    workers: int
    resumed_at_step: int  # of the epoch; 0 = it was not resumed in mid-epoch
    places: dict[str, float]  # role -> places of a batch that it holds, on average
    validation: Measured  # mean sensitivity on validation, own-peak candidates, 0 to 1; NaN where it was not measured
    # From its beginning, or from where it was resumed, validation included; 0 in rows of earlier versions.
    seconds: float = 0.0

    def line(self, name: str) -> str:
        """Return the row as a line for people. name: of the training."""
        losses = "  ".join(f"{term} {value:.4f}" for term, value in self.losses.items())
        pools = "  ".join(
            f"{role} {count} ({self.places.get(role, 0.0):.3g} a batch)"
            for role, count in self.samples.items()
            if count
        )
        p0 = f"  p0 {p0_text(self.p0)}" if self.p0 else ""
        speed = f"{self.images_per_s:.0f} images/s (wait {self.wait_share:.0%})"
        if self.gpu_memory_bytes:
            speed += f"  {self.gpu_memory_bytes / 2**30:.1f} GiB"
        pace = f"rate {self.learning_rate:.1e}  |grad| {self.gradient_norm:.2f}  {speed}"
        validation = "" if math.isnan(self.validation) else f"  validation {self.validation:.3f}"
        epoch = f"{name}  epoch {self.epoch}/{self.num_epochs}{p0}  {self.num_steps} steps{validation}"
        return f"{epoch}  loss {losses}  {pace}  {pools}"
