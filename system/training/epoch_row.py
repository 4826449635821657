"""The row that a training writes after each epoch, into epochs.jsonl and TensorBoard."""

import math
from collections.abc import Iterator
from dataclasses import dataclass

from system.files.json_out import Measured
from system.records import P0, p0_text

_MUCH_WAITING = 0.05  # share of the time, from which on a line names it
_ROLES = {"STRONG_MASS": "annotated with a mass", "STRONG_FREE": "annotated without"}  # the others: their quadrant


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
        """Return the row as a line for people: the rest is in epochs.jsonl. name: of the training."""
        p0 = f", p0 {p0_text(self.p0)}" if self.p0 else ""
        return f"{name}, epoch {self.epoch} of {self.num_epochs}{p0}: {', '.join(self._facts())}"

    def _facts(self) -> Iterator[str]:
        terms = ", ".join(f"{term} {value:.3g}" for term, value in self.losses.items() if term != "total" and value)
        yield f"loss {self.losses['total']:.4f}" + (f" ({terms})" if terms else "")
        if not math.isnan(self.validation):
            yield f"validation {self.validation:.3f}"
        if self.bad_steps:
            yield f"{self.bad_steps} of {self.num_steps} steps skipped, their loss was not finite"
        waited = f" ({self.wait_share:.0%} of the time waiting for data)" if self.wait_share >= _MUCH_WAITING else ""
        yield f"{self.images_per_s:.0f} images/s{waited}"
        if self.gpu_memory_bytes:
            yield f"{self.gpu_memory_bytes / 2**30:.1f} GiB"
        yield from (f"{count} {_ROLES.get(role, role)}" for role, count in self.samples.items() if count)
