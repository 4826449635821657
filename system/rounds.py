"""What a run does next, and which model is its result, as decisions; pipelines/selftrain.py carries them out."""

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from pydantic import Field, model_validator

from system.errors import UserError
from system.files.json_out import Ends, Measured
from system.mining import P0Schedule, QuadrantCounts
from system.records import P0, p0_text
from system.settings import Settings
from system.training.config import StrongInBatch, TrainConfig


class RoundsConfig(Settings):
    """The second stage of the paper: how many rounds, how each trains, and the control beside them."""

    num_rounds: int = Field(default=2, ge=0)  # Q
    p0: P0Schedule = P0Schedule()
    train: TrainConfig = TrainConfig(num_epochs=15, class_factor=10.0, plan="constant")
    # Steps of an epoch relative to Stage 1's, where train.steps_per_epoch is 0. The paper's hours say 2
    # (docs/method.md, One round); 0 = as many as show every positive once.
    epoch_of_stage1: float = Field(default=2.0, ge=0)
    strong_in_batch: StrongInBatch = StrongInBatch()
    # Share of the positive places that FN hold; null = drawn together with TP.
    fn_in_batch: float | None = Field(default=None, ge=0, le=1)
    # FP of which the map is surer than of half of TP: train, as the paper, or review = left to radiologists.
    disputed: Literal["train", "review"] = "train"
    # Which model the next round goes on from: always the latest, as the paper, or the latest only if it is better than
    # the one before it on validation.
    promote: Literal["always", "better"] = "always"
    # The loop stops after so many rounds in a row that were not better; 0 = never for that reason.
    patience: int = Field(default=0, ge=0)
    # For studies of the method: weak breasts are labelled by the masks that the archive has of them, not by reports.
    perfect_reports: bool = False
    # Where the miner keeps journal and snapshots, one address per run: s3://bucket/prefix; empty = the run's folder.
    miner: str = ""
    # Beside every round, also train the supervised model for as many more steps, without weak data.
    control: bool = True

    @model_validator(mode="after")
    def _shares_of_the_positive_places(self) -> "RoundsConfig":
        strong, fn = self.strong_in_batch.positives or 0.0, self.fn_in_batch or 0.0
        if strong + fn > 1 + 1e-9:
            raise ValueError(
                f"rounds.strong_in_batch.positives and rounds.fn_in_batch: {strong:g} for annotated positives and "
                f"{fn:g} for FN are more than all places: lower one of them"
            )
        return self

    def steps_per_epoch(self, *, of_stage1: float) -> int:
        """Return the steps of a round's epoch; 0 = as many as show every positive once.

        of_stage1: steps of its epochs
        """
        return self.train.steps_per_epoch or (
            max(1, round(self.epoch_of_stage1 * of_stage1)) if self.epoch_of_stage1 else 0
        )


@dataclass(frozen=True)
class Gain:
    """One model against another on the same validation patients, own-peak candidates."""

    mean: Measured  # sensitivity over the operating points, 0 to 1; NaN without a lesion
    before: Measured  # of the other
    difference: Measured  # mean - before
    interval: Ends  # 95 %, paired by patient

    @property
    def is_none(self) -> bool:
        """Whether the model is no better; False where nothing can be compared."""
        return self.difference <= 0

    def line(self) -> str:
        """Return it for people."""
        low, high = self.interval
        means = f"{self.mean:.3f} on validation, {self.before:.3f} before"
        return f"{means}: {self.difference:+.3f} ({low:+.3f} to {high:+.3f})"


@dataclass(frozen=True)
class Promotion:
    """Whether the next round goes on from a round's model."""

    promoted: bool
    over: str  # folder of the system that the round went on from: stage1, round_01
    gain: Gain
    reason: str


def promote(gain: Gain, *, over: str, config: RoundsConfig) -> Promotion:
    """Return whether a round's model takes the place of the one before it.

    A model that is no better on validation stays on disk, and the next round goes on from the better one.
    """
    if config.promote == "always":
        return Promotion(True, over, gain, "rounds.promote is always")
    if math.isnan(gain.difference):
        return Promotion(True, over, gain, "validation shows no lesion to compare by: the latest is taken")
    if gain.difference > 0:
        return Promotion(True, over, gain, "better than the model before it")
    return Promotion(False, over, gain, "no better than the model before it")


@dataclass(frozen=True)
class Chosen:
    """The result of a run: the best of its systems on validation."""

    system: str  # folder: stage1, control_01, round_01
    title: str
    validation: dict[str, Measured]  # title -> mean sensitivity, own-peak candidates, 0 to 1
    reason: str
    num_rounds: int | None = None  # that the run was to have; None in runs of before this was kept


def choose(systems: Sequence[tuple[str, str]], validation: Mapping[str, float]) -> Chosen:
    """Return the best system on validation, the first of equals.

    systems: folder and title of each, the supervised one first
    validation: title -> mean sensitivity, 0 to 1; NaN without a lesion
    """
    ranked = [(folder, title) for folder, title in systems if not math.isnan(validation[title])]
    if not ranked:
        folder, title = systems[-1]
        return Chosen(folder, title, dict(validation), "validation shows no lesion: the last one trained is taken")
    folder, title = max(ranked, key=lambda each: validation[each[1]])
    others = ", ".join(f"{other} {value:.3f}" for other, value in validation.items() if other != title)
    reason = f"highest mean sensitivity on validation, {validation[title]:.3f}" + (f" ({others})" if others else "")
    return Chosen(folder, title, dict(validation), reason)


@dataclass(frozen=True)
class RoundResult:
    """The result of one round, as far as the decision depends on it."""

    number: int
    num_mined: int  # images that its pools and radiologists gave it to train on, at the p0 that gives most; 0 = none
    better: bool  # than the model it went on from, on validation; also where nothing can be compared
    untrained: str = ""  # why it trained no model; "" = it did


@dataclass(frozen=True)
class GoOn:
    """Run this round next."""

    number: int


@dataclass(frozen=True)
class Stop:
    """No further round, and why."""

    reason: str


def decide(history: list[RoundResult], *, config: RoundsConfig, first: int = 1) -> GoOn | Stop:
    """Return the next round, or why there is none.

    history: the rounds done so far, in order
    first: the first round on the archive as it is now; those before it say nothing of what is new since
    """
    if history and history[-1].untrained:
        return Stop(history[-1].untrained)
    if len(history) >= config.num_rounds:
        return Stop(f"all {config.num_rounds} rounds are done")
    recent = history[first - 1 :]
    if recent and not recent[-1].num_mined:
        return Stop(f"round {recent[-1].number} mined no image: another would train on the same data")
    if config.patience and len(recent) >= config.patience and not any(r.better for r in recent[-config.patience :]):
        return Stop(f"saturated: the last {config.patience} rounds were no better than the models before them")
    return GoOn(len(history) + 1)


def parse_rounds(text: str) -> tuple[int, bool]:
    """Return a number of rounds as people write it, and whether it comes on top of those done: 3 or +1.

    Raises UserError.
    """
    if not re.fullmatch(r"\+?[0-9]{1,4}", text) or text == "+0":
        raise UserError(f"--rounds {text!r}: expected +1, for one more than are done, or 3, for three in all")
    return int(text), text.startswith("+")


def rounds_in_all(number: int, *, more: bool, done: int, begun_for: int, finished: bool) -> int:
    """Return how many rounds a run is to have.

    number, more: as of `parse_rounds`
    done: rounds of the run;  begun_for: how many it was last started for
    finished: whether the run has come to its end. One that was killed goes on to what it was started for and no
        further, so that the same words, given again, do not add to it.
    """
    if not more:
        return number
    return done + number if finished else begun_for


@dataclass(frozen=True)
class Mined:
    """What a round can train on beside the annotated images, at one p0."""

    p0: P0
    counts: QuadrantCounts

    def num_taught(self, *, config: RoundsConfig) -> int:
        """Return the weak images that train at this p0."""
        left_out = self.counts.disputed if config.disputed == "review" else 0
        return self.counts.num_pooled - left_out


@dataclass(frozen=True)
class Train:
    """Retrain on the round's pools, which hold so many images at the p0 that gives most."""

    num_mined: int


def decide_training(number: int, mined: Sequence[Mined], *, num_outlined: int, config: RoundsConfig) -> Train | Stop:
    """Return whether a round trains: not if no epoch would see an image that the model before it has not seen.

    number: of the round, from 1
    mined: its pools, in the order of its p0
    num_outlined: weak images in which radiologists have outlined a mass; they train as annotated ones
    """
    num_mined = num_outlined + max(pool.num_taught(config=config) for pool in mined)
    if num_mined:
        return Train(num_mined)
    last = mined[-1]
    found = last.counts
    why = [
        (found.unused, "have a report that is not sure enough"),
        (found.tn, "show no mass by report and map"),
        (found.disputed, "are disputed and wait for a radiologist (rounds.disputed)"),
    ]
    of_them = " and ".join(f"{count} {what}" for count, what in why if count) or "there is no weak image"
    return Stop(
        f"round {number} has nothing to train on, its pools are empty at every p0: of {found.num_images} weak images "
        f"at p0 {p0_text(last.p0)}, {of_them}; a training would repeat the one before it. Lower rounds.p0, annotate "
        "more (`mammoloop doctor --archive` shows how much there is), or have images judged (`mammoloop review`)"
    )
