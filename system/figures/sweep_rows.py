"""The plain rows that a sweep's tables and page are made of, and their order."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from system.files.json_out import Ends, Measured
from system.settings import Value

SHOWN = 20  # trials in the table, each compared with the best
State = Literal["done", "stopped", "failed", "running"]


@dataclass(frozen=True)
class SweepTrial:
    """One trial of a sweep."""

    number: int  # in the order in which they were begun, from 0
    setting: Mapping[str, Value]  # dotted key of the configuration -> value
    state: State  # stopped = ended early, after what `values` holds
    mean: Measured  # its measure on validation, 0 to 1; NaN unless it is done
    interval: Ends  # 95 %
    sensitivity: Mapping[str, Measured]  # by false positives per image
    seconds: Measured  # what it took; NaN unless it is done or stopped
    values: Sequence[Measured]  # mean sensitivity on the way: by epoch, or after Stage 1 and each round
    folder: str  # relative to the sweep
    reason: str  # why it failed; "" unless it did


@dataclass(frozen=True)
class Behind:
    """A trial against the best one, on the same validation patients."""

    difference: Measured  # of the mean from the best one's; 0 for itself
    interval: Ends  # 95 %, paired by patient

    @property
    def is_noise(self) -> bool:
        """Whether the two cannot be told apart on these patients."""
        return not self.interval[1] < 0


@dataclass(frozen=True)
class Confirmed:
    """One setting, trained anew with fresh seeds."""

    number: int  # of its trial
    setting: Mapping[str, Value]
    is_start: bool  # the setting that the others are held against
    each: Sequence[Measured]  # mean sensitivity on validation, seed by seed
    mean: Measured  # of these
    sd: Measured  # of these; NaN for one seed
    gain: Measured  # of the mean over that of the start
    gain_interval: Ends  # 95 %, paired by patient, averaged over the seeds


@dataclass(frozen=True)
class FinalResult:
    """The winner's numbers on test, taken once."""

    number: int  # of its trial
    setting: dict[str, Value]
    num_models: int  # its trial's, or one per seed of the confirmation
    num_patients: int
    num_lesions: int
    mean: Measured  # sensitivity, mean over the operating points and the models, 0 to 1
    interval: Ends  # 95 %
    start_mean: Measured  # of the start setting, likewise
    gain: Measured  # mean - start_mean
    gain_interval: Ends  # 95 %, paired by patient


def ranked(trials: Sequence[SweepTrial]) -> list[SweepTrial]:
    """Return the finished trials by falling mean sensitivity, equal ones by number; those without a value last."""
    done = [trial for trial in trials if trial.state == "done"]
    return sorted(
        done, key=lambda each: (math.isnan(each.mean), 0 if math.isnan(each.mean) else -each.mean, each.number)
    )


def pareto(trials: Sequence[SweepTrial]) -> set[int]:
    """Return the numbers of the finished trials than which none is both better and faster."""
    done = [trial for trial in trials if trial.state == "done" and not math.isnan(trial.mean)]
    return {
        each.number
        for each in done
        if not any(
            other.mean >= each.mean
            and other.seconds <= each.seconds
            and (other.mean, other.seconds) != (each.mean, each.seconds)
            for other in done
        )
    }


@dataclass(frozen=True)
class SweepResults:
    """All that a sweep has found so far."""

    trials: Sequence[SweepTrial]  # by number
    wanted: int  # trials in all
    start: int | None  # number of the trial that others are held against: the configuration's own setting, or the first
    behind: Mapping[int, Behind]  # of the best SHOWN, by number
    measure: str  # by which trials are judged: mean sensitivity, lesion F1 of the masks
    front: Sequence[int]  # numbers of those than which none is both better and faster; empty for one objective
    by_seeds: bool = True  # whether trials train, so that other seeds may say otherwise
    confirmed: Sequence[Confirmed] = ()
    final: FinalResult | None = None

    @property
    def ranked(self) -> list[SweepTrial]:
        """The finished trials, best first."""
        return ranked(self.trials)

    def trial(self, number: int) -> SweepTrial:
        """Return a trial by number."""
        return next(trial for trial in self.trials if trial.number == number)

    @property
    def winner(self) -> SweepTrial:
        """The best trial: by fresh seeds where there are some, else by the search. Raises LookupError without one."""
        if self.confirmed:
            return self.trial(max(self.confirmed, key=lambda row: row.mean).number)
        if not self.ranked:
            raise LookupError("no trial is finished")
        return self.ranked[0]
