"""What a resume needs beside the model: the raw weights, the optimiser's moments and the position of training."""

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from system.training.tally import Tally

RAW, MOMENTS, PROGRESS = "raw.safetensors", "optimizer.safetensors", "progress.json"


@dataclass(frozen=True)
class TrainingPosition:
    """How far a training has come; all randomness follows from the seed, the epoch and the step."""

    epoch: int  # epochs finished
    step: int  # optimiser steps taken since the stage began
    bad_steps: int  # steps skipped for a loss that was not finite
    tally: Tally | None = None  # of the epoch under way; None between two

    @property
    def steps_in_epoch(self) -> int:
        """Steps of the epoch under way."""
        return self.tally.steps if self.tally else 0

    def between_epochs(self) -> "TrainingPosition":
        """Return the position at which the epoch under way began."""
        if self.tally is None:
            return self
        return TrainingPosition(self.epoch, self.step - self.tally.steps, self.bad_steps - self.tally.bad)

    def in_epoch(self, tally: Tally) -> "TrainingPosition":
        """Return the position in the next epoch, after the steps of a tally. self: between two epochs."""
        return TrainingPosition(self.epoch, self.step + tally.steps, self.bad_steps + tally.bad, tally)

    def after_epoch(self, *, num_steps: int, bad_steps: int) -> "TrainingPosition":
        """Return the position after the next epoch. self: between two epochs."""
        return TrainingPosition(self.epoch + 1, self.step + num_steps, self.bad_steps + bad_steps)


def write_training_state(
    folder: Path, *, raw: dict[str, Tensor], optimizer: torch.optim.Optimizer, position: TrainingPosition
) -> None:
    """Write what a resume needs beside the model; nothing is pickled.

    raw: the weights that are trained, without the moving average
    """
    save_file({name: value.detach().cpu().contiguous() for name, value in raw.items()}, folder / RAW)
    save_file(_flatten(optimizer.state_dict()["state"]), folder / MOMENTS)
    (folder / PROGRESS).write_text(json.dumps(asdict(position)), encoding="utf8")


def read_training_state(folder: Path, optimizer: torch.optim.Optimizer) -> tuple[dict[str, Tensor], TrainingPosition]:
    """Load the optimiser in place and return the raw weights and the position."""
    state: dict[int, dict[str, Tensor]] = {}
    for name, value in load_file(folder / MOMENTS).items():
        index, key = name.split(".")
        state.setdefault(int(index), {})[key] = value
    optimizer.load_state_dict({"state": state, "param_groups": optimizer.state_dict()["param_groups"]})
    stored = json.loads((folder / PROGRESS).read_text(encoding="utf8"))
    tally = Tally(**stored["tally"]) if stored["tally"] else None
    return load_file(folder / RAW), TrainingPosition(**stored | {"tally": tally})


def _flatten(state: dict[int, dict[str, Any]]) -> dict[str, Tensor]:
    return {
        f"{index}.{key}": value.detach().cpu().contiguous()
        for index, moments in state.items()
        for key, value in moments.items()
    }
