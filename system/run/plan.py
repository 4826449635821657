"""Which stages a run will go through, in order, and how long those to come will take by those that are done.

The order is that of pipelines/selftrain.py; a test holds the stages of a whole run against it.
"""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

# Of a few seconds to minutes, whatever the archive: left out of an estimate until one of them has been done.
_SHORT = {"archive", "thresholds", "pools", "promotion", "chosen"}
_ALIKE = {"validated": "froc"}  # an evaluation of fewer patients


@dataclass(frozen=True)
class TrainPlan:
    """What is needed of a TrainConfig."""

    num_epochs: int  # at most
    steps_per_epoch: int  # 0 = decided by the data


@dataclass(frozen=True)
class RoundsPlan:
    """What is needed of a RoundsConfig."""

    num_rounds: int
    control: bool
    epoch_of_stage1: float
    train: TrainPlan


@dataclass(frozen=True)
class Plan:
    """What is needed of a RunConfig to know the stages of its run."""

    stage1: TrainPlan
    rounds: RoundsPlan

    def epochs_of(self, training: str) -> int:
        """Return the most epochs of a training. training: its stage, e.g. round_01/checkpoint."""
        return (self.stage1 if training.startswith("stage1/") else self.rounds.train).num_epochs

    def stages(self) -> list[str]:
        """Return the names of all stages in the order in which a run does them, if no round is left out."""
        rounds = range(1, self.rounds.num_rounds + 1)
        found = ["labels", "archive", *_system("stage1")]
        for number in rounds:
            this = f"round_{number:02d}"
            found += [f"{this}/predictions", f"{this}/pools", *_system(this)]
            found += _system(f"control_{number:02d}") if self.rounds.control else ()
            found += ["stage1/validated"] if number == 1 else ()
            found += [f"{this}/validated", f"{this}/promotion"]
        found += [] if self.rounds.num_rounds else ["stage1/validated"]
        found += [f"control_{number:02d}/validated" for number in rounds if self.rounds.control]
        return [*found, "chosen"]


def _system(name: str) -> Iterator[str]:
    for part in ("checkpoint", "held_out", "thresholds", "froc"):
        yield f"{name}/{part}"


@dataclass(frozen=True)
class Duration:
    """How long a finished stage took."""

    stage: str
    seconds: float  # of the start that finished it
    num_steps: int = 0  # of a training


def stages_left(plan: Plan, *, finished: set[str], begun: set[str]) -> tuple[str, ...]:
    """Return the stages still to do, the one under way first.

    finished, begun: names of stages that have a manifest, and of those that have a folder

    What comes before a stage that was begun and is not finished has been left out by a decision of the loop.
    """
    if any(name.startswith("labels") for name in finished):  # labels_02 takes the place of labels
        finished = finished | {"labels"}
    left = [name for name in plan.stages() if name not in finished]
    under_way = [place for place, name in enumerate(left) if name in begun]
    return tuple(left[under_way[-1] :]) if under_way else tuple(left)


def seconds_of(stage: str, done: Sequence[Duration], *, plan: Plan) -> float:
    """Return how long a stage will take by the finished ones of the same run; NaN where none is like it.

    done: in the order in which they ended; the last one that is alike counts
    """
    system, part = _split(stage)
    like = [each for each in done if _split(each.stage)[1] == part]
    if part == "checkpoint":
        return _training(system, like, plan=plan)
    if not like and part in _ALIKE:
        like = [each for each in done if _split(each.stage)[1] == _ALIKE[part]]
    if like:
        return like[-1].seconds
    return 0.0 if part in _SHORT else math.nan


def _training(system: str, trainings: Sequence[Duration], *, plan: Plan) -> float:
    """Return how long a round's or a control's training will take: as the last round's, else by Stage 1's steps."""
    if rounds := [each for each in trainings if not each.stage.startswith("stage1/")]:
        same = [each for each in rounds if _split(each.stage)[0] == system]
        return (same or rounds)[-1].seconds
    stage1 = next((each for each in trainings if each.num_steps), None)
    if stage1 is None:
        return math.nan
    per_epoch = plan.rounds.train.steps_per_epoch or (
        plan.rounds.epoch_of_stage1 * stage1.num_steps / plan.stage1.num_epochs
    )
    steps = per_epoch * plan.rounds.train.num_epochs
    return stage1.seconds * steps / stage1.num_steps if steps else math.nan


def _split(stage: str) -> tuple[str, str]:
    """Return the kind of system (stage1, round, control) and the part of it that a stage is."""
    system, _, part = stage.rpartition("/")
    return system.partition("_")[0], part
