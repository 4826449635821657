"""What a run does next, as a decision; pipelines/selftrain.py carries it out."""

from dataclasses import dataclass

from pydantic import Field

from system.mining import P0Schedule
from system.settings import Settings
from system.training.config import TrainConfig


class RoundsConfig(Settings):
    """The second stage of the paper: how many rounds, how each trains, and the control beside them."""

    num_rounds: int = Field(default=2, ge=0)  # Q
    p0: P0Schedule = P0Schedule()
    train: TrainConfig = TrainConfig(num_epochs=15, class_factor=10.0, plan="constant")
    # Where the miner keeps journal and snapshots, one address per run: s3://bucket/prefix; empty = the run's folder.
    miner: str = ""
    control: bool = True  # also train the supervised model for as many more steps, without weak data


@dataclass(frozen=True)
class RoundResult:
    """The result of one round, as far as the decision depends on it."""

    number: int
    num_mined: int  # members of the largest pool


@dataclass(frozen=True)
class GoOn:
    """Run this round next."""

    number: int


@dataclass(frozen=True)
class Stop:
    """No further round, and why."""

    reason: str


def decide(history: list[RoundResult], *, config: RoundsConfig) -> GoOn | Stop:
    """Return the next round, or why there is none.

    history: the rounds done so far, in order
    """
    if len(history) >= config.num_rounds:
        return Stop(f"all {config.num_rounds} rounds are done")
    if history and not history[-1].num_mined:
        return Stop(f"round {history[-1].number} mined no image: another would train on the same data")
    return GoOn(len(history) + 1)
