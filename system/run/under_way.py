"""The training under way, read from its folder while its workers write it."""

import math
from dataclasses import dataclass
from pathlib import Path

from pydantic import TypeAdapter, ValidationError

from system.errors import UserError
from system.files.json_in import first_mistake
from system.files.json_out import Measured
from system.training.epoch_row import EpochRow

SCRATCH = "train"  # folder of a training under way, in its stage
EPOCHS = "epochs.jsonl"  # in it, a line per epoch
_CHECKPOINTS = "ray/checkpoint_manager_snapshot.json"  # of Ray Train: the checkpoints that it knows to be whole
_ROW = TypeAdapter(EpochRow)


@dataclass(frozen=True)
class Checkpoint:
    """The last whole checkpoint of a training: what a restart goes on from."""

    epoch: int  # epochs finished
    step: int  # optimiser steps since the training began
    at_s: float  # when it was kept, seconds since 1970


@dataclass(frozen=True)
class TrainingProgress:
    """The training under way."""

    epoch: int  # under way, from 1
    num_epochs: int  # at most: it ends earlier where validation stops rising
    epoch_s: Measured  # seconds of an epoch, the median so far; NaN before the first has ended
    left_s: Measured  # seconds to its last epoch's end; NaN before the first has ended
    validation: Measured  # best so far, mean sensitivity, 0 to 1; NaN where it is not measured
    checkpoint: Checkpoint | None


def training_under_way(stage: Path, *, num_epochs: int, now_s: float) -> TrainingProgress:
    """Return how far a training has come.

    stage: its folder;  num_epochs: that it was planned with;  now_s: seconds since 1970

    Raises UserError for a line that is not what was written.
    """
    rows = rows_so_far(stage)
    done = rows[-1].epoch if rows else 0
    whole = sorted(row.seconds for row in rows if row.seconds and not row.resumed_at_step)
    epoch_s = whole[len(whole) // 2] if whole else math.nan
    passed_s = max(0.0, now_s - changed_s(stage / SCRATCH / EPOCHS))  # since the last row
    return TrainingProgress(
        epoch=min(done + 1, num_epochs),
        num_epochs=num_epochs,
        epoch_s=epoch_s,
        left_s=(num_epochs - done) * epoch_s - min(passed_s, epoch_s) if done < num_epochs else 0.0,
        validation=max((row.validation for row in rows if not math.isnan(row.validation)), default=math.nan),
        checkpoint=_checkpoint(stage / SCRATCH / _CHECKPOINTS),
    )


def changed_s(path: Path) -> float:
    """Return when a file was changed last, seconds since 1970; 0 for one that is not there, or is there no longer."""
    try:
        return path.stat().st_mtime
    except OSError:
        return 0.0


def rows_so_far(stage: Path) -> tuple[EpochRow, ...]:
    """Return the rows of the epochs that are over, none before the training begins; stage: its folder.

    A line that is just being written is not read yet. Raises UserError for one that is not what was written.
    """
    path = stage / SCRATCH / EPOCHS
    try:
        lines = path.read_bytes().split(b"\n")[:-1]
    except OSError:  # not begun yet, or just ended
        return ()
    try:
        rows = [_ROW.validate_json(line) for line in lines]
    except ValidationError as error:
        place = f"{EPOCHS} of the training in {path.parent.parent.parent.name}"
        remedy = "restore it, or remove it, it is for people alone"
        raise UserError(f"{place} is not what was written ({first_mistake(error)}): {remedy}") from None
    return tuple({row.epoch: row for row in rows}.values())  # after a restart an epoch may be done once more


@dataclass(frozen=True)
class _Position:
    epoch: int
    step: int


@dataclass(frozen=True)
class _Kept:
    metrics: _Position


@dataclass(frozen=True)
class _List:
    latest_checkpoint_result: _Kept | None = None


def _checkpoint(path: Path) -> Checkpoint | None:
    try:
        kept = TypeAdapter(_List).validate_json(path.read_bytes()).latest_checkpoint_result
    except (OSError, ValidationError):  # none yet, or Ray Train is writing it
        return None
    return Checkpoint(kept.metrics.epoch, kept.metrics.step, changed_s(path)) if kept else None
