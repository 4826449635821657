"""The watcher: looks at sources, archive, run and registry, decides by the plan, and carries the decision out.

It holds no state of its own: what it needs to know stands in the archive, the run and the log of decisions, so it may
be killed anywhere and started again. Work is done by the product's own commands, each in a process of its own with a
time limit; each goes on where it was.

```
tick:  adopt the run's result as the first model -> end a begun retraining -> judge its candidate
       -> intake -> catch up -> decide -> (retrain)
```
"""

import json
import logging
import math
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path
from typing import Protocol

from system.archive import Archive
from system.continuous import caught_up, decisions, registry
from system.continuous.arrived import arrived, label_drift
from system.continuous.caught_up import CaughtUp
from system.continuous.decision_page import DecisionRecord, write_decision
from system.continuous.decisions import Kind, Line
from system.continuous.evidence import evidence
from system.continuous.gate import judge
from system.continuous.plan import Plan
from system.continuous.policy import Alert, Decision, RefitLabels, Retrain, Wait, decide, notices
from system.continuous.registry import Lineage, Model, Registry, Said
from system.continuous.situation import Situation
from system.errors import MachineFault, NotFinished, UserError
from system.faults import storage
from system.place import PLACE
from system.run import watching
from system.run.code import code_digest
from system.run.folder import RunFolder
from system.run.lock import taken
from system.run.systems import Round, System
from system.run.watching import Watching

log = logging.getLogger(__name__)


class Failed(MachineFault):
    """A command ended with an error or ran out of its time; the text says which and how. The next look tries again."""


class Commands(Protocol):
    """The product's commands, each of which goes on where it was. Raises Failed."""

    def ingest(self) -> dict[str, float]:
        """Take in what is new in the sources, and return when something last came, by source: seconds since 1970."""
        ...

    def catch_up(self, system: str) -> None:
        """Label, infer and sort what has come, with a system's model."""
        ...

    def retrain(self, system: str) -> None:
        """Train and measure one more round, from a system; or end the one that was begun."""
        ...


@dataclass(frozen=True)
class Watched:
    """A run that is watched, and by what."""

    archive_uri: str
    run: RunFolder
    plan: Plan
    commands: Commands
    now_s: Callable[[], float] = time.time

    @property
    def folder(self) -> Path:
        """Where the log of decisions and their pages lie."""
        return self.run.path / watching.FOLDER

    def said(self, why: str) -> Said:
        """Return the plan as the one who changes the registry now."""
        at = datetime.fromtimestamp(self.now_s(), UTC).isoformat(timespec="seconds")
        return Said(at, f"{registry.BY_PLAN}{self.plan.digest}", why)

    def note(
        self, kind: Kind, reason: str, *, model: str = "", number: int = 0, situation: Situation | None = None
    ) -> None:
        """Log a decision, unless it is the one before. number: of the round that it begins."""
        lines = decisions.read(self.folder)
        line = Line(len(lines) + 1, self.now_s(), self.plan.digest, kind, reason, model, number, situation)
        if not lines or kind in ("retrain", "failed") or lines[-1].said != line.said:
            decisions.append(self.folder, line)
            log.log(logging.WARNING if kind in ("alert", "failed") else logging.INFO, "%s: %s", kind, reason)


@contextmanager
def lease(run: RunFolder) -> Iterator[None]:
    """Hold a run for this watcher; the lease ends with the process. Raises UserError where another watches it."""
    lock = run.path / watching.LOCK
    with storage(lock.parent):
        lock.parent.mkdir(parents=True, exist_ok=True)
        opened = lock.open("w")
    with opened as held:
        if not taken(held):
            raise UserError(f"another watcher holds run {run.name}: stop that one first")
        yield


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


def adopt(watched: Watched) -> Registry:
    """Return the registry; where it has promoted nothing yet, the run's result enters as the first promoted model.

    Raises NotFinished for a run that has no result yet, UserError where the promoted model is another run's.
    """
    archive, run = Archive.open(watched.archive_uri), watched.run
    book = registry.read(archive)
    if book.promoted and book.models[book.promoted].lineage.run_id == run.identity:
        return book
    if not run.chosen.finished:
        raise NotFinished(f"run {run.name} has no result to begin with: end it with `mammoloop selftrain` first")
    system = run.result()
    name, why = system.model_name, f"the result of run {run.name} when watching began: {run.chosen.result().reason}"
    book = registry.add(archive, registry.register(name, _lineage(watched, system, ""), said=watched.said(why)))
    if book.promoted:
        other = book.models[book.promoted].lineage.run
        raise UserError(
            f"the promoted model {book.promoted} is of run {other}, so no candidate of {run.path} can go on from it: "
            f"watch that one, or promote a model of this run, e.g. `mammoloop models promote {name}`"
        )
    return registry.add(archive, registry.conclude(name, "promoted", said=watched.said(why)))


def judge_candidate(watched: Watched, book: Registry) -> Registry:
    """Judge the last round's model where the registry has not decided on it yet, and return the registry."""
    rounds = [this for this in watched.run.trained_rounds() if watched.run.chapter_of(this.number).start]
    if not rounds or not watched.run.ended:  # rounds that nobody told what to go on from are not the watcher's
        return book
    candidate, archive = rounds[-1], Archive.open(watched.archive_uri)
    name = candidate.model_name
    if name in book.models and book.models[name].status != "candidate":
        return book
    parent = watched.run.before(candidate.number)
    lineage = _lineage(watched, candidate, parent.model_name)
    why = f"round {candidate.number} of run {watched.run.name}"
    book = registry.add(archive, registry.register(name, lineage, said=watched.said(why)))
    promoted = book.models[book.promoted]
    compared = evidence(
        watched.run.trained(promoted.lineage.system),
        candidate,
        gate=watched.plan.gate,
        config=watched.run.config().froc,
    )
    found = judge(compared, plan=watched.plan, looks=book.looks(watched.run.identity))
    plan, fppi = watched.plan, watched.run.config().froc.fppi
    record = DecisionRecord(name, lineage, promoted.name, promoted.lineage, plan.digest, plan, found, fppi)
    write_decision(watched.folder / name, record)
    watched.note("judged", f"{found.verdict}: {found.reason}", model=name)
    return registry.add(archive, registry.conclude(name, found.verdict, said=watched.said(found.reason)))


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
        num_backlog=0,  # what came was caught up with; what comes meanwhile is the next look's
        num_new_samples=seen.num_new_samples,
        label_drift=label_drift(before, now),
        map_drift=seen.map_drift,
        last_retrain_s=last.at_s if last else None,
        refused_in_a_row=book.refused_in_a_row(run_id),
        held=book.held(run_id),
        looks=book.looks(run_id),
    )


def recipe_digest(run: RunFolder) -> str:
    """Return 16 hex digits that stand for a run's settings, resources left out."""
    recipe = run.config().model_dump(mode="json", exclude={"resources", "ingest"})
    return sha256(json.dumps(recipe, sort_keys=True).encode()).hexdigest()[:16]


def _other_rows(archive: Archive, seen: CaughtUp) -> bool:
    """Return whether anything that catching up reads has changed since."""
    now, then = archive.versions(), seen.archive_versions
    return any(now.get(table) != then.get(table) for table in ("images", "reports", "labels", "verdicts"))


def _lineage(watched: Watched, system: System, parent: str) -> Lineage:
    run = watched.run
    chapter = run.chapter_of(system.number) if isinstance(system, Round) else run.last_chapter
    return Lineage(
        run=str(run.path.resolve()),
        run_id=run.identity,
        system=system.name,
        checkpoint=str(system.model.resolve()),
        parent=parent,
        recipe=recipe_digest(run),
        plan=watched.plan.digest,
        approver=watched.plan.approver,
        archive_versions=chapter.archive_pin.result().versions,
        code_digest=code_digest(),
        mean=system.froc().result().sweep.mean,
    )
