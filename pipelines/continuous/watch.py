"""The watcher: looks at sources, archive, run and registry, decides by the plan, and carries the decision out.

It holds no state of its own: what it needs to know stands in the archive, the run and the log of decisions, so it may
be killed anywhere and started again. Work is done by the product's own commands, each in a process of its own with a
time limit; each goes on where it was.

```
tick:  adopt the run's result as the first model -> end a begun retraining -> judge its candidate
       -> intake -> catch up -> decide -> (retrain)
```
"""

import math
import time
from collections.abc import Callable
from dataclasses import replace

from pipelines.continuous.judging import adopt, judge_candidate
from pipelines.continuous.watched import Failed, Watched, lease
from system.archive import Archive
from system.continuous import caught_up, decisions, registry
from system.continuous.arrived import arrived, label_drift
from system.continuous.caught_up import CaughtUp
from system.continuous.decisions import Line
from system.continuous.policy import Alert, Decision, RefitLabels, Retrain, Wait, decide, notices
from system.continuous.registry import Model, Registry
from system.continuous.situation import Situation
from system.errors import MachineFault
from system.place import PLACE
from system.run import watching
from system.run.watching import Watching


def run(watched: Watched, *, once: bool = False, sleep: Callable[[float], None] = time.sleep) -> None:
    """Look, decide and act until the process is stopped, or once.

    A fault of the machine and a command that failed are logged and tried again, later each time. Raises UserError for
    what a person must mend, NotFinished for a run without a result; once: also MachineFault.
    """
    with lease(watched.run):
        while True:
            try:
                tick(watched)
                wait_s = watched.plan.intake.poll_s
            except MachineFault as fault:
                if once:
                    raise
                watched.note("failed", str(fault))
                wait_s = backoff_s(watched)
                note_failure(watched, str(fault), wait_s=wait_s)
            if once:
                return
            with PLACE.at("while waiting for what comes next"):
                sleep(wait_s)


def note_failure(watched: Watched, reason: str, *, wait_s: float) -> None:
    """Keep for those who ask that the last look failed; what it would have seen stays as it was."""
    now_s = watched.now_s()
    before = watching.read(watched.run.path) or Watching(now_s, watched.plan.digest, "", "", now_s)
    found = replace(before, looked_s=now_s, decision="Failed", reason=reason, next_look_s=now_s + wait_s)
    watching.write(found, run=watched.run.path)


def backoff_s(watched: Watched) -> float:
    """Return how long to wait after failures: doubled with each in a row, up to the plan's longest."""
    limits, failed = watched.plan.limits, decisions.failures_in_a_row(decisions.read(watched.folder))
    return min(limits.longest_backoff_s, limits.backoff_s * 2.0 ** min(max(0, failed - 1), 30))


def preview(watched: Watched) -> str:
    """Return what the next look would decide, for people; changes nothing and takes nothing in."""
    archive, run = Archive.open(watched.archive_uri), watched.run
    book = registry.read(archive)
    if not book.promoted:
        return f"would begin with the result of run {run.name}, {run.result().title}, as the first promoted model"
    if begun := unended(watched):
        return f"would end the retraining of round {begun.round}, begun because of: {begun.reason}"
    model = book.models[book.promoted]
    seen = caught_up.read(run.path, model.name)
    if seen is None or seen.num_rounds != run.num_done or _other_rows(archive, seen):
        return "would label, infer and sort what has come first; what follows depends on what that shows"
    decision = decide(look(watched, archive, book, seen), plan=watched.plan)
    return f"{type(decision).__name__}: {decision.reason}"


def tick(watched: Watched) -> Decision:
    """Do everything that is due now, and return what was decided. Raises Failed, and what storage and records raise."""
    begin_plan(watched)
    book = adopt(watched)
    if begun := unended(watched):
        retrain(watched, book.models[begun.model].lineage.system)
    book = judge_candidate(watched, book)
    with PLACE.at("while taking in what is new"):
        last_arrival_s = watched.commands.ingest()
    archive = Archive.open(watched.archive_uri)
    seen = catch_up(watched, archive, book)
    situation = replace(look(watched, archive, book, seen), last_arrival_s=last_arrival_s)
    decision = decide(situation, plan=watched.plan)
    for notice in notices(situation, plan=watched.plan):
        watched.note("notice", notice)
    note_look(watched, decision, situation, book.models[book.promoted], seen)
    match decision:
        case Wait(reason):
            watched.note("wait", reason, situation=situation)
        case Alert(reason):
            watched.note("alert", reason, situation=situation)
        case RefitLabels(reason):
            watched.note("refit labels", f"{reason}: start a run with new report models", situation=situation)
        case Retrain(reason):
            system = book.models[book.promoted].lineage.system
            number = watched.run.num_done + 1
            watched.note("retrain", reason, model=book.promoted, number=number, situation=situation)
            retrain(watched, system)
            judge_candidate(watched, registry.read(archive))
    return decision


def note_look(watched: Watched, decision: Decision, now: Situation, promoted: Model, seen: CaughtUp) -> None:
    """Keep what was seen and decided for those who ask."""
    found = Watching(
        looked_s=now.now_s,
        plan=watched.plan.digest,
        decision=type(decision).__name__,
        reason=decision.reason,
        next_look_s=now.now_s + watched.plan.intake.poll_s,
        last_arrival_s=max(now.last_arrival_s.values(), default=None),
        promoted=promoted.name,
        promoted_title=watched.run.trained(promoted.lineage.system).title,
        promoted_mean=promoted.lineage.mean,
        p0=seen.p0,
        tp=seen.counts.tp,
        fp=seen.counts.fp,
        fn=seen.counts.fn,
        num_new_samples=seen.num_new_samples,
        held=now.held,
        looks=now.looks,
        refused_in_a_row=now.refused_in_a_row,
        quarantined_share=now.arrived.num_quarantined / now.arrived.num_files if now.arrived.num_files else math.nan,
    )
    watching.write(found, run=watched.run.path)


def retrain(watched: Watched, system: str) -> None:
    """Train and measure a candidate, from a system of the run."""
    with PLACE.at("while retraining"):
        watched.commands.retrain(system)


def unended(watched: Watched) -> Line | None:
    """Return the decision to retrain that was taken and not carried out to its end; None where there is none."""
    line, run = decisions.last(decisions.read(watched.folder), "retrain"), watched.run
    if line is None or run.num_done >= line.round:
        return None
    chapter = run.last_chapter
    had_nothing_to_train_on = bool(run.ended and chapter.start and chapter.first >= line.round)
    return None if had_nothing_to_train_on else line


def begin_plan(watched: Watched) -> None:
    """Begin a chapter of the log where the plan is another than before."""
    before = decisions.last(decisions.read(watched.folder), "plan")
    if before is None or before.plan != watched.plan.digest:
        watched.note("plan", watched.plan.model_dump_json())


def catch_up(watched: Watched, archive: Archive, book: Registry) -> CaughtUp:
    """Label, infer and sort what came since it was last done with the promoted model; nothing where nothing did."""
    model = book.models[book.promoted]
    seen = caught_up.read(watched.run.path, model.name)
    if seen is None or seen.num_rounds != watched.run.num_done or _other_rows(archive, seen):
        with PLACE.at("while catching up with what is new"):
            watched.commands.catch_up(model.lineage.system)
        seen = caught_up.read(watched.run.path, model.name)
    if seen is None:
        raise Failed("catching up left no record of what it found")
    return seen


def look(watched: Watched, archive: Archive, book: Registry, seen: CaughtUp) -> Situation:
    """Return what the policy decides by."""
    lines = decisions.read(watched.folder)
    before = archive.pinned(watched.run.last_chapter.archive_pin.result().versions)
    now = archive.pinned(archive.versions())
    last = decisions.last(lines, "retrain")
    run_id = watched.run.identity
    return Situation(
        now_s=watched.now_s(),
        arrived=arrived(before, now),
        num_new_samples=seen.num_new_samples,
        label_drift=label_drift(before, now),
        map_drift=seen.map_drift,
        last_retrain_s=last.at_s if last else None,
        refused_in_a_row=book.refused_in_a_row(run_id),
        held=book.held(run_id),
        looks=book.looks(run_id),
    )


def _other_rows(archive: Archive, seen: CaughtUp) -> bool:
    """Return whether anything that catching up reads has changed since."""
    now, then = archive.versions(), seen.archive_versions
    return any(now.get(table) != then.get(table) for table in ("images", "reports", "labels", "verdicts"))
