"""An epoch's row, for the tests that need one whatever it says."""

from dataclasses import replace
from typing import Any

from system.training.epoch_row import EpochRow

_ROW = EpochRow(
    losses={"total": 1.0},
    learning_rate=1e-3,
    gradient_norm=1.0,
    images_per_s=9.0,
    wait_share=0.0,
    num_steps=4,
    bad_steps=0,
    gpu_memory_bytes=0,
    epoch=1,
    num_epochs=1,
    p0=0.0,
    samples={},
    workers=1,
    resumed_at_step=0,
    places={},
    validation=float("nan"),
)


def epoch_row(**changes: Any) -> EpochRow:
    """Return the only epoch of a training on nothing, not measured on validation; keyword arguments replace fields."""
    return replace(_ROW, **changes)
