"""How far a run has come, as lines for people. Imports nothing heavy: it answers at once."""

import math
from collections.abc import Iterator

from system.durations import duration_in_words
from system.records import p0_text
from system.run.progress import Progress
from system.run.under_way import TrainingProgress
from system.run.watching import Watching


def lines(found: Progress) -> Iterator[str]:
    """Give a run's progress as lines for people."""
    num_stages = len(found.finished) + len(found.left)
    if found.state == "finished":
        yield f"{found.run}: finished, its result is {found.result}"
    elif found.state == "at work":
        yield f"{found.run}: at work on {found.stage}, {len(found.finished)} of at most {num_stages} stages done"
    else:
        done = f"{len(found.finished)} of at most {num_stages} stages done"
        yield f"{found.run}: stopped, killed or failed in {found.stage}, {done}"
    if found.training:
        yield from _training_lines(found.training, now_s=found.now_s)
    if found.shards:
        expected = f" of about {found.shards.expected}" if found.shards.expected else ""
        yield f"shards: {found.shards.done}{expected} written"
    if found.left:
        yield f"time left: {_left(found.stage_left_s)} of this stage, {_left(found.left_s)} of the whole run"
    for pool in found.pools:
        yield f"pools of round {pool.round}, at p0 {p0_text(pool.p0)}: TP {pool.tp}, FP {pool.fp}, FN {pool.fn}"
    if found.best:
        low, high = found.best.interval
        yield f"best so far on validation: {found.best.title}, {found.best.validation:.3f} ({low:.3f} to {high:.3f})"
    if found.waits_for:
        yield f"waits for: {found.waits_for}"
    if watching := found.watching:
        yield from _watching_lines(watching, found)
    passed = duration_in_words(found.now_s - found.changed_s)
    yield f"newest change: {passed} ago; started {duration_in_words(found.now_s - found.started_s)} ago"


def _watching_lines(last: Watching, found: Progress) -> Iterator[str]:
    ago = duration_in_words(found.now_s - last.looked_s)
    held = "watched" if found.watched else "watched until its watcher was stopped or killed"
    yield f"{held}, by plan {last.plan}; last look {ago} ago: {last.decision}: {last.reason}"
    if last.promoted:
        mean = "not known" if math.isnan(last.promoted_mean) else f"{last.promoted_mean:.3f}"
        yield f"promoted: {last.promoted}, {last.promoted_title}, mean sensitivity {mean} on test"
        sizes = f"TP {last.tp}, FP {last.fp}, FN {last.fn}"
        yield f"pools by now, at p0 {p0_text(last.p0)}: {sizes}; {last.num_new_samples} have not trained yet"
    if last.last_arrival_s is not None:
        yield f"newest arrival: {duration_in_words(found.now_s - last.last_arrival_s)} ago"
    if last.held:
        yield f"held for approval: {last.held}"
    if found.watched and last.next_look_s > found.now_s:
        yield f"next look: in {duration_in_words(last.next_look_s - found.now_s)}"


def _training_lines(training: TrainingProgress, *, now_s: float) -> Iterator[str]:
    pace = "" if math.isnan(training.epoch_s) else f", {duration_in_words(training.epoch_s)} each"
    best = "" if math.isnan(training.validation) else f", best on validation {training.validation:.3f}"
    yield f"epoch: {training.epoch} of at most {training.num_epochs}{pace}{best}"
    if kept := training.checkpoint:
        yield f"last checkpoint: after epoch {kept.epoch}, step {kept.step}, {duration_in_words(now_s - kept.at_s)} ago"
    else:
        yield "last checkpoint: none yet"


def _left(seconds: float) -> str:
    return "not known yet" if math.isnan(seconds) else duration_in_words(seconds)
