"""What a trial of a sweep does, of each kind; it runs in a Ray task."""

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import torch

from pipelines import retrain, selftrain, train
from pipelines.sweep.inputs import SweepInputs
from pipelines.sweep.masks import counts_of_masks
from pipelines.sweep.places import TrialPlace, loop_values
from system.archive import Archive, pair_table
from system.config import RunConfig
from system.evaluation.counts_file import COUNTS, write_counts
from system.metrics import PatientCounts
from system.metrics.lesion_f1 import lesion_f1
from system.metrics.summary import FrocSummary
from system.records import Split
from system.rounds import GoOn, RoundResult, decide
from system.run.results import FrocResult, TrialResult
from system.run.stage import Written
from system.run.systems import System
from tune_spaces import Setting, applied, keeps_stage1


@dataclass(frozen=True)
class Task:
    """One setting to be tried, where, and with which seed."""

    setting: Setting
    place: TrialPlace
    seed: int  # added to the configuration's own; 0 in a search, so that only the settings differ


def perform(inputs: SweepInputs, task: Task) -> TrialResult:
    """Try one setting and measure it on validation; go on where an earlier start ended.

    Raises ConfigError for a setting that the configuration does not take, and what training and inference raise.
    """
    if task.place.result.finished:
        return task.place.result.result()
    config = applied(inputs.config, task.setting)
    config = config.changed(seed=config.seed + task.seed)
    began = time.monotonic()
    found = _PERFORM[inputs.kind](inputs, config, task.place)
    result = TrialResult(
        dict(task.setting),
        found.mean,
        found.interval,
        found.sensitivity,
        seconds=round(time.monotonic() - began, 1),
        stopped_after=found.stopped_after,
    )

    def write(attempt: Path) -> Written[TrialResult]:
        if found.counts is None:
            return Written(result)
        write_counts(found.counts, attempt / COUNTS)
        return Written(result, files=[attempt / COUNTS])

    return task.place.result.once(write)


@dataclass(frozen=True)
class _Found:
    """What a trial came to."""

    mean: float
    interval: tuple[float, float] = (float("nan"), float("nan"))
    sensitivity: dict[str, float] = field(default_factory=dict[str, float])
    stopped_after: int = 0
    counts: PatientCounts | None = None  # where no evaluation is on disk that has them


def _of(summary: FrocSummary) -> _Found:
    return _Found(summary.mean, summary.interval, dict(summary.sensitivity))


def _stage1(inputs: SweepInputs, config: RunConfig, place: TrialPlace) -> _Found:
    job = selftrain.train_job("stage 1", archive=inputs.archive, config=config, seed=config.seed)
    stop, stage = place.stop, place.system.checkpoint
    train.run(job.changed(measured=True), resources=config.resources.train, stage=stage, stop=stop)
    return _measured(inputs, config, place, num_epochs=config.stage1.num_epochs)


def _retrain(inputs: SweepInputs, config: RunConfig, place: TrialPlace) -> _Found:
    source, number = inputs.run, inputs.round_number
    job = selftrain.train_job(f"round {number}", archive=inputs.read_by_round, config=config, seed=config.seed + number)
    job = selftrain.with_pools(job, config=config, stage1=source.stage1.checkpoint.result())
    retrain.run(
        job.changed(start=str(source.before(number).model), measured=True),
        pools=source.round(number).pools,
        schedule=config.rounds.p0,
        resources=config.resources.train,
        stage=place.system.checkpoint,
        stop=place.stop,
    )
    return _measured(inputs, config, place, num_epochs=config.rounds.train.num_epochs)


def _measured(inputs: SweepInputs, config: RunConfig, place: TrialPlace, *, num_epochs: int) -> _Found:
    """Return how good a trained model is on validation, or what is known of one that was stopped early."""
    trained = place.system.checkpoint.result()
    if place.stop.exists() and trained.num_epochs < num_epochs:
        return _Found(trained.last_epoch.validation, stopped_after=trained.num_epochs)
    return _of(measure(inputs.archive, config, place.system).sweep)


def measure(archive: Archive, config: RunConfig, system: System) -> FrocResult:
    """Run a trained model over the validation images, choose its thresholds and evaluate it on them."""
    pairs = pairs_of(archive.table("images"), Split.VALIDATION)
    selftrain.infer_and_choose_thresholds(system, pairs, archive=archive, config=config)
    return selftrain.evaluate_on(system, Split.VALIDATION, archive=archive, config=config)


def pairs_of(images: pa.Table, split: Split) -> pa.Table:
    """Return the pairs of a split: schemas.PAIRS. images: rows of the archive's `images`."""
    return pair_table(images.filter(pc.field("split") == str(split)))


class _TrialLoop(selftrain.Loop):
    """The loop's steps, measured on validation alone: the test images are for the winner."""

    def measure(self, system: System) -> FrocResult:
        """Run a model over the validation images, choose its thresholds and evaluate it on them."""
        return measure(self.archive, self.config, system)


def _loop(inputs: SweepInputs, config: RunConfig, place: TrialPlace) -> _Found:
    """Run the rounds in a folder of the trial's own; Stage 1 is shared where no setting changes it."""
    config = config.changed(rounds=config.rounds.changed(control=False, miner=""))
    folder, source = place.run, inputs.run
    with folder.claimed(config):
        folder.archive_pin.adopt(source.archive_pin)
        if keeps_stage1(list(inputs.varied)) and config.seed == source.config().seed:
            folder.stage1.checkpoint.adopt(source.stage1.checkpoint)
        loop = _TrialLoop(folder, config, inputs.archive)
        loop.train_stage1()
        loop.measure(folder.stage1)
        history: list[RoundResult] = []
        while isinstance(next_one := decide(history, config=config.rounds), GoOn):
            if place.stop.exists():
                values = loop_values(folder)
                return _Found(values[-1], stopped_after=len(values))
            history.append(loop.round(folder.round(next_one.number)))
        judged = folder.before(len(folder.trained_rounds()) + 1)
    return _of(judged.froc(Split.VALIDATION).result().sweep)


def _refine(inputs: SweepInputs, config: RunConfig, _place: TrialPlace) -> _Found:
    torch.set_num_threads(1)  # many small steps: side by side they are faster than shared out
    counts = counts_of_masks(
        inputs.source,
        inputs.archive,
        round_number=inputs.round_number,
        split=Split.VALIDATION,
        refine=config.infer.refine,
        froc=config.froc,
    )
    value, interval = lesion_f1(counts, config=config.froc)
    return _Found(value, interval.pair(), counts=counts)


_PERFORM: dict[str, Callable[[SweepInputs, RunConfig, TrialPlace], _Found]] = {
    "stage1": _stage1,
    "retrain": _retrain,
    "loop": _loop,
    "refine": _refine,
}
