"""How far a run has come, read from its folder while another process writes it, or after it was killed.

Reads manifests, the lines of the training under way and the driver's lock; imports no torch, so it answers at once.
The whole records of results.py cost seconds to import, so what is needed of them is declared here again.
"""

import math
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, TypeVar

import yaml
from pydantic import TypeAdapter, ValidationError

from system.files.json_in import first_mistake
from system.files.json_out import Ends, Measured
from system.records import P0
from system.run.kept_config import CONFIG, config_text, not_what_was_written
from system.run.lock import is_held
from system.run.plan import Duration, Plan, chosen_of, seconds_of, stages_left
from system.run.stage import MANIFEST, Manifest, Stage
from system.run.under_way import SCRATCH, TrainingProgress, changed_s, training_under_way
from system.run.watching import Watching, is_watched
from system.run.watching import read as read_watching

State = Literal["at work", "stopped", "finished"]
Record = TypeVar("Record")


@dataclass(frozen=True)
class FinishedStage:
    """A stage that has its manifest. Times are seconds since 1970, by the manifest's time on disk."""

    name: str  # e.g. round_01/pools
    began_s: float  # of the start that finished it
    ended_s: float
    seconds: float  # between the two


@dataclass(frozen=True)
class ShardProgress:
    """The inference under way."""

    done: int  # shards that are written
    expected: int  # by the last inference of its kind; 0 = there was none


@dataclass(frozen=True)
class PoolProgress:
    """The pools of a round at its last p0, in images."""

    round: int  # from 1
    p0: P0
    tp: int
    fp: int
    fn: int


@dataclass(frozen=True)
class Best:
    """The best system so far on validation."""

    title: str  # supervised, control 1, round 1
    validation: float  # mean sensitivity, own-peak candidates, 0 to 1
    interval: Ends  # 95 %


@dataclass(frozen=True)
class Progress:
    """How far a run has come. Times are seconds since 1970; seconds left are at most, for a loop may end earlier."""

    run: str  # the folder's name
    state: State  # stopped: unfinished, and no driver holds the folder: it was stopped, killed, or failed
    now_s: float
    started_s: float  # when it was started last
    changed_s: float  # newest change of its files
    stage: str  # under way, or the one to go on with; "" when finished
    finished: tuple[FinishedStage, ...]  # in the order in which they ended
    left: tuple[str, ...]  # stages still to do, the one under way first, as the settings plan them
    training: TrainingProgress | None  # under way, or to go on with
    shards: ShardProgress | None  # of an inference under way, or to go on with
    stage_left_s: Measured  # of the stage under way; NaN where this run has done none like it; 0 = finished
    left_s: Measured  # of all stages left; NaN where one is to come of a kind that this run has not done yet
    pools: tuple[PoolProgress, ...]  # by round
    best: Best | None  # None before systems are compared, or where validation shows no lesion
    result: str  # title of the chosen system; "" before it is chosen
    waits_for: str  # what has to happen next, a phrase for people; "" when finished
    watching: Watching | None = None  # the last look of the run's watcher; None where it was never watched
    watched: bool = False  # whether a watcher holds it now


def progress_of(run: Path, *, now_s: float | None = None) -> Progress:
    """Return how far a run has come.

    run: its folder;  now_s: seconds since 1970, None = by the clock

    Raises NotFinished where there is no run, UserError for one of another schema and for files that are damaged.
    """
    now_s = time.time() if now_s is None else now_s
    plan, manifests = _plan(run), dict(_manifests(run))
    chosen = _result(run, chosen_of(manifests), _Chosen)
    begun = {str(path.relative_to(run)) for path in run.glob("*/*") if path.is_dir()}
    left: tuple[str, ...] = () if chosen else stages_left(plan, finished=set(manifests), begun=begun)
    folder = run / left[0] if left else run
    training = None
    if left and folder.name == "checkpoint":
        training = training_under_way(folder, num_epochs=plan.epochs_of(left[0]), now_s=now_s)
    shards = _shards(folder, manifests) if folder.name in ("predictions", "held_out") else None
    finished = _finished(run, manifests)
    started_s = changed_s(run / CONFIG)
    done_s = max([started_s, *(stage.ended_s for stage in finished)])
    changes = [done_s, *_changes(folder if left else None)]
    stage_left_s, later_s = _seconds_left(left, _durations(run, finished), plan=plan, passed_s=now_s - done_s)
    if training and not math.isnan(training.left_s):
        stage_left_s = training.left_s
    state: State = "finished" if chosen else "at work" if is_held(run) else "stopped"
    return Progress(
        run=run.resolve().name,
        state=state,
        now_s=now_s,
        started_s=started_s,
        changed_s=max(changes),
        stage=left[0] if left else "",
        finished=finished,
        left=left,
        training=training,
        shards=shards,
        stage_left_s=stage_left_s,
        left_s=stage_left_s + later_s,
        pools=tuple(_pools(run)),
        best=_best(run, manifests),
        result=chosen.title if chosen else "",
        waits_for=_waits_for(state, left, training, shards),
        watching=read_watching(run),
        watched=is_watched(run),
    )


def title_of(system: str) -> str:
    """Return a system's title from the name of its folder: stage1, control_01, round_01."""
    kind, _, number = system.partition("_")
    return f"{kind} {int(number)}" if number else "supervised"


@dataclass(frozen=True)
class _Counts:
    tp: int
    fp: int
    fn: int


@dataclass(frozen=True)
class _Pool:
    p0: P0
    counts: _Counts


@dataclass(frozen=True)
class _Pools:
    pools: tuple[_Pool, ...]


@dataclass(frozen=True)
class _Summary:
    mean: Measured
    interval: Ends


@dataclass(frozen=True)
class _Validated:
    sweep: _Summary


@dataclass(frozen=True)
class _Chosen:
    title: str


@dataclass(frozen=True)
class _Trained:
    num_steps: int


def _plan(run: Path) -> Plan:
    text = config_text(run)
    try:
        return TypeAdapter(Plan).validate_python(yaml.safe_load(text))
    except ValidationError as error:
        raise not_what_was_written(run, first_mistake(error)) from None
    except yaml.YAMLError:
        raise not_what_was_written(run, "it is no YAML") from None


def _manifests(run: Path) -> Iterator[tuple[str, Manifest[object]]]:
    """Give every finished stage's name and manifest."""
    for pattern in (MANIFEST, f"*/{MANIFEST}"):
        for path in run.glob(f"*/{pattern}"):
            name = str(path.parent.relative_to(run))
            if manifest := Stage(run, name, object).manifest():
                yield name, manifest


def _result(run: Path, name: str, kind: type[Record]) -> Record | None:
    """Return what is needed of a stage's result; None where it is not finished."""
    manifest = Stage(run, name, kind).manifest()
    return manifest.result if manifest else None


def _finished(run: Path, manifests: Mapping[str, Manifest[object]]) -> tuple[FinishedStage, ...]:
    found: list[FinishedStage] = []
    for name, manifest in manifests.items():
        ended_s = changed_s(run / name / MANIFEST)
        found.append(FinishedStage(name, ended_s - manifest.seconds, ended_s, manifest.seconds))
    return tuple(sorted(found, key=lambda stage: (stage.ended_s, stage.name)))


def _changes(stage: Path | None) -> Iterator[float]:
    """Give when the files of a stage under way were changed."""
    if stage is not None:
        for pattern in ("*", "attempt_*/*", f"{SCRATCH}/*"):
            yield from map(changed_s, stage.glob(pattern))


def _durations(run: Path, finished: Sequence[FinishedStage]) -> list[Duration]:
    trained = _result(run, "stage1/checkpoint", _Trained)
    steps = {"stage1/checkpoint": trained.num_steps} if trained else {}
    return [Duration(stage.name, stage.seconds, steps.get(stage.name, 0)) for stage in finished]


def _seconds_left(left: Sequence[str], done: Sequence[Duration], *, plan: Plan, passed_s: float) -> tuple[float, float]:
    """Return the seconds left of the stage under way, and of those after it; NaN where it is not known.

    passed_s: since the stage under way was begun
    """
    each = [seconds_of(stage, done, plan=plan) for stage in left]
    return (max(0.0, each[0] - passed_s) if each else 0.0), sum(each[1:])


def _shards(stage: Path, manifests: Mapping[str, Manifest[object]]) -> ShardProgress:
    like = [each for name, each in sorted(manifests.items()) if name.endswith(f"/{stage.name}")]
    return ShardProgress(
        done=len([*stage.glob("attempt_*/part_*.parquet")]), expected=len(like[-1].files) if like else 0
    )


def _pools(run: Path) -> Iterator[PoolProgress]:
    number = 1
    while mined := _result(run, f"round_{number:02d}/pools", _Pools):
        for last in mined.pools[-1:]:
            yield PoolProgress(number, last.p0, last.counts.tp, last.counts.fp, last.counts.fn)
        number += 1


def _best(run: Path, manifests: Mapping[str, Manifest[object]]) -> Best | None:
    systems = [name.removesuffix("/validated") for name in manifests if name.endswith("/validated")]
    found: list[Best] = []
    for system in sorted(systems, key=lambda name: (name != "stage1", name)):  # the supervised one wins a draw
        measures = _result(run, f"{system}/validated", _Validated)
        if measures and not math.isnan(measures.sweep.mean):
            found.append(Best(title_of(system), measures.sweep.mean, measures.sweep.interval))
    return max(found, key=lambda best: best.validation, default=None)


def _waits_for(
    state: State, left: Sequence[str], training: TrainingProgress | None, shards: ShardProgress | None
) -> str:
    if state == "finished":
        return ""
    if state == "stopped":
        return "the same command to be started again: it goes on here"
    if training and math.isnan(training.epoch_s) and training.checkpoint is None:
        return "the training workers, which have ended no epoch since they were started"
    if training:
        return f"the end of epoch {training.epoch}"
    if shards and not shards.done:
        return "the predictors, which have written no shard yet"
    return f"the end of {left[0]}"
