"""When to retrain: a pure function of a situation and a plan. The watcher carries its decisions out."""

import math
from collections.abc import Iterator
from dataclasses import dataclass

from system.continuous.plan import Plan
from system.continuous.situation import Situation

DAY_S = 86_400.0


@dataclass(frozen=True)
class Wait:
    """Do nothing, and why."""

    reason: str


@dataclass(frozen=True)
class Retrain:
    """Train a candidate on what the archive has, and why."""

    reason: str


@dataclass(frozen=True)
class RefitLabels:
    """Label every report anew before anything is trained, and why."""

    reason: str


@dataclass(frozen=True)
class Alert:
    """Train nothing until a person has looked, and why."""

    reason: str


Decision = Wait | Retrain | RefitLabels | Alert


def decide(now: Situation, *, plan: Plan) -> Decision:
    """Return what to do next, with all reasons that speak for it, each with its number.

    What is odd goes before what is due: a model is not trained on an intake that may be broken.
    """
    if odd := list(alarms(now, plan=plan)):
        return Alert("; ".join(odd))
    if now.held:
        return Wait(f"{now.held} waits for approval by {plan.approver or 'a person'}")
    due = "; ".join(_due(now, plan=plan))
    if not due:
        return Wait(f"nothing is due: {_how_near(now, plan=plan)}")
    between = plan.triggers.min_days_between
    if (since := _days_since(now)) < between:
        return Wait(f"{due}; but the last retraining began {since:.1f} days ago, {between:g} must lie between two")
    return _allowed(now, due, plan=plan)


def _allowed(now: Situation, due: str, *, plan: Plan) -> Decision:
    """Return what the plan allows for these reasons."""
    if "weights" not in plan.may_change:
        if "labels" in plan.may_change and now.label_drift > plan.triggers.label_drift > 0:
            return RefitLabels(due)
        return Alert(f"{due}; but weights are not in the plan's may_change")
    if plan.gate.after_looks == "correct" and now.looks >= plan.gate.looks:
        return Alert(
            f"{due}; but the plan's patients have been looked at {now.looks} times of {plan.gate.looks}, so no "
            "candidate could be promoted: give a plan with other patients, or more looks"
        )
    return Retrain(due)


def alarms(now: Situation, *, plan: Plan) -> Iterator[str]:
    """Give what holds retraining back, each with its number."""
    limits, arrived = plan.alarms, now.arrived
    shares = (
        ("files quarantined", arrived.num_quarantined, arrived.num_files, limits.quarantine_share),
        ("reports without a side", arrived.num_no_side, arrived.num_reports, limits.no_side_share),
        (
            "reports of unknown language",
            arrived.num_unknown_language,
            arrived.num_reports,
            limits.unknown_language_share,
        ),
    )
    for what, number, of, limit in shares:
        if of >= limits.min_arrived and number / of > limit:
            yield f"{what}: {number} of {of}, {number / of:.0%}, the plan's limit is {limit:.0%}"
    if limits.refused_in_a_row and now.refused_in_a_row >= limits.refused_in_a_row:
        yield f"{now.refused_in_a_row} candidates in a row were refused, the plan's limit is {limits.refused_in_a_row}"


def notices(now: Situation, *, plan: Plan) -> Iterator[str]:
    """Give what people should hear of and what holds nothing back: sources that are silent, patients nearly used up."""
    for source, at_s in sorted(now.last_arrival_s.items()):
        days = (now.now_s - at_s) / DAY_S
        if plan.alarms.silence_days and days > plan.alarms.silence_days:
            yield f"source {source}: nothing for {days:.1f} days, the plan's limit is {plan.alarms.silence_days:g}"
    if plan.gate.after_looks == "warn" and now.looks >= plan.gate.looks:
        yield (
            f"the plan's patients have been looked at {now.looks} times, more than its {plan.gate.looks}: what is "
            "measured on them flatters by now"
        )


def _due(now: Situation, *, plan: Plan) -> Iterator[str]:
    """Give the reasons to retrain."""
    when = plan.triggers
    if when.new_samples and now.num_new_samples >= when.new_samples:
        yield f"{now.num_new_samples} new images in the pools, {when.new_samples} are enough"
    if when.verdicts and now.arrived.num_verdicts >= when.verdicts:
        yield f"{now.arrived.num_verdicts} new verdicts, {when.verdicts} are enough"
    if when.days and now.arrived.anything and (since := _days_since(now)) >= when.days:
        ago = f"{since:.1f} days since the last retraining" if math.isfinite(since) else "no retraining yet"
        yield f"{ago}, {when.days:g} are enough"
    for what, drift, limit in (
        ("labels", now.label_drift, when.label_drift),
        ("maps", now.map_drift, when.map_drift),
    ):
        if limit and drift > limit:  # False where it is not known
            yield f"drift of the {what}: population stability index {drift:.3f}, the plan's limit is {limit:g}"


def _how_near(now: Situation, *, plan: Plan) -> str:
    """Return how far what is counted is from being enough."""
    when = plan.triggers
    parts = [
        (when.new_samples, f"{now.num_new_samples} of {when.new_samples} new images in the pools"),
        (when.verdicts, f"{now.arrived.num_verdicts} of {when.verdicts} new verdicts"),
    ]
    return ", ".join(text for wanted, text in parts if wanted) or "the plan counts neither images nor verdicts"


def _days_since(now: Situation) -> float:
    """Return the days since the last retraining began; infinite where there was none."""
    return math.inf if now.last_retrain_s is None else (now.now_s - now.last_retrain_s) / DAY_S
