"""How models come into the registry: the first is adopted, each candidate is judged against the promoted one."""

from pipelines.continuous.watched import Watched
from system.archive import Archive
from system.config import recipe_digest
from system.continuous import registry
from system.continuous.decision_page import DecisionRecord, write_decision
from system.continuous.evidence import evidence
from system.continuous.gate import judge
from system.continuous.registry import Lineage, Registry
from system.errors import NotFinished, UserError
from system.run.systems import System


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


def _lineage(watched: Watched, system: System, parent: str) -> Lineage:
    run, training = watched.run, system.checkpoint.manifest()
    return Lineage(
        run=str(run.path.resolve()),
        run_id=run.identity,
        system=system.name,
        checkpoint=str(system.model.resolve()),
        parent=parent,
        recipe=recipe_digest(run.config()),
        plan=watched.plan.digest,
        approver=watched.plan.approver,
        archive_versions=run.read_by(system).archive_pin.result().versions,
        code_digest=training.code_digest if training else "",
        mean=system.froc().result().sweep.mean,
    )
