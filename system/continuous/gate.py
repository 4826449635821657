"""Whether a candidate takes the promoted model's place: measured on the plan's patients, judged by the plan's numbers.

The candidate must not be worse: the lower end of the paired interval of the difference in mean sensitivity lies above
minus the margin, over all patients and in each group with enough lesions (non-inferiority, as in Blackwelder 1982).
"""

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Literal

from system.continuous.plan import GatePlan, Plan
from system.files.json_out import Ends, Measured
from system.metrics import FrocConfig, PatientCounts
from system.metrics.comparison import paired

NUM_RESAMPLES = 4000  # the end of a corrected interval lies far out
ALL = "all"


@dataclass(frozen=True)
class Compared:
    """A candidate and the promoted model on the same patients."""

    kind: str  # all, or of a group: density, view, source, lesion size
    name: str
    num_lesions: int
    promoted: Measured  # mean sensitivity, 0 to 1; NaN without a lesion
    candidate: Measured
    difference: Measured  # candidate - promoted
    interval: Ends  # of the difference, paired by patient, at the plan's confidence
    margin: float  # by how much the lower end may lie below 0
    decides: bool  # False for a group with too few lesions: shown only

    @property
    def passed(self) -> bool:
        """Whether the candidate is not worse; False where it cannot be known."""
        return self.interval[0] > -self.margin

    def line(self) -> str:
        """Return it for people."""
        low, high = self.interval
        what = "all lesions" if self.kind == ALL else f"{self.kind} {self.name}"
        return (
            f"{what} ({self.num_lesions}): {self.promoted:.3f} to {self.candidate:.3f}, {self.difference:+.3f} "
            f"({low:+.3f} to {high:+.3f}), must lie above {-self.margin:+.3f}"
        )


@dataclass(frozen=True)
class Judgement:
    """What the gate found."""

    verdict: Literal["promoted", "held", "refused"]
    reason: str
    compared: tuple[Compared, ...]  # over all patients first
    confidence: float  # of each interval, corrected for the looks
    look: int  # at the plan's patients, from 1: this one


def compare(
    promoted: Mapping[tuple[str, str], PatientCounts],
    candidate: Mapping[tuple[str, str], PatientCounts],
    *,
    gate: GatePlan,
    config: FrocConfig,
) -> tuple[Compared, ...]:
    """Return both models over all patients and in each group that the plan names.

    promoted, candidate: counts of the same patients by kind and name, (ALL, "") for all
    config: the run's rules; its operating points and seed are used

    Raises UserError where patients or lesions differ.
    """
    resampled = config.changed(bootstrap=max(config.bootstrap, NUM_RESAMPLES))
    wanted = [(ALL, ""), *(key for key in promoted if gate.subgroups.of(key[0]))]
    return tuple(_compared(key, promoted[key], candidate[key], gate=gate, config=resampled) for key in wanted)


def judge(compared: tuple[Compared, ...], *, plan: Plan, looks: int) -> Judgement:
    """Return whether the candidate is promoted, waits for its approval, or is refused, and why.

    compared: of `compare`
    looks: how often the plan's patients have decided on a candidate before this one
    """
    confidence, look = plan.gate.used_confidence, looks + 1
    failed = list(_failures(compared))
    if plan.gate.after_looks == "correct" and look > plan.gate.looks:
        failed.append(f"the plan's patients are used up: this is look {look} of {plan.gate.looks}")
    if failed:
        return Judgement("refused", "; ".join(failed), compared, confidence, look)
    decided = [each for each in compared if each.decides]
    reason = f"not worse in any of {len(decided)} comparisons: {decided[0].line()}"
    if plan.approver:
        return Judgement("held", f"{reason}; waits for approval by {plan.approver}", compared, confidence, look)
    return Judgement("promoted", reason, compared, confidence, look)


def _compared(
    key: tuple[str, str], promoted: PatientCounts, candidate: PatientCounts, *, gate: GatePlan, config: FrocConfig
) -> Compared:
    kind, name = key
    found = paired(promoted, candidate, config=config, confidence=gate.used_confidence)
    lesions = int(promoted.lesions.sum())
    group = gate.subgroups.of(kind)
    return Compared(
        kind,
        name,
        lesions,
        found.first,
        found.second,
        found.difference,
        found.interval.pair(),
        gate.margin if group is None else group.margin,
        group is None or lesions >= group.min_lesions,
    )


def _failures(compared: tuple[Compared, ...]) -> Iterator[str]:
    """Give what the candidate does not pass, each with its numbers."""
    for each in compared:
        if each.decides and not each.passed:
            known = not math.isnan(each.interval[0])
            yield each.line() if known else f"{each.kind} {each.name}".strip() + ": no lesion to compare by"
