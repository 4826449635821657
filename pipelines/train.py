"""Train a network with Ray Train: Stage 1 on the fully annotated data, and what retraining shares."""

import logging
import os
import shutil
import time
from concurrent.futures import Future
from contextlib import suppress
from pathlib import Path
from threading import Thread
from typing import Any

from pydantic import TypeAdapter, ValidationError
from ray.train import CheckpointConfig, FailureConfig, Result, RunConfig, ScalingConfig, TrainingFailedError
from ray.train.torch import TorchTrainer

from pipelines import room
from pipelines.ray_errors import plain_cause
from pipelines.workers.checkpoints import remove_partial
from pipelines.workers.follow import follow
from pipelines.workers.live import shown
from pipelines.workers.train_loop import BEST, EPOCHS, train_loop
from system.errors import UserError, WorkerLost
from system.faults import STOOD_STILL, machine_fault, storage
from system.files.json_in import first_mistake
from system.files.parquet import REMEDY
from system.nets.weights import CARD, WEIGHTS
from system.resources import TrainResources
from system.run.folder import RunFolder
from system.run.results import TrainResult
from system.run.stage import Stage, Written
from system.run.under_way import SCRATCH
from system.training.epoch_row import EpochRow
from system.training.job import TrainJob
from system.training.patience import best_epoch

log = logging.getLogger(__name__)
NOTES = "stood_still.txt"  # a line for each worker that was ended because it stood still
_ROW = TypeAdapter(EpochRow)


def run(
    job: TrainJob, *, resources: TrainResources, stage: Stage[TrainResult], stop: Path | None = None
) -> TrainResult:
    """Train until the job's last epoch and keep the last model; if it was killed, go on after the last checkpoint.

    stop: a file that ends the training after an epoch once it is there

    Needs a running Ray. The stage's files are model.safetensors, model.json and epochs.jsonl; the run's folder
    `tensorboard` gets the same numbers.

    Raises MachineFault at once for what a storage does, and WorkerLost after more than `max_failures` lost workers.
    """
    if stage.finished:
        return stage.result()
    room.check_training(resources)
    scratch = stage.folder.resolve() / SCRATCH
    with stage.begun(_amount(job, scratch)):
        return _train(job, resources, scratch, stage=stage, stop=stop)


def _amount(job: TrainJob, scratch: Path) -> str:
    """Return how much there is to train, and what is taken over from an earlier start."""
    with suppress(OSError, UserError):
        if done := read_rows(scratch / EPOCHS):
            return f"{job.train.num_epochs} epochs, {done[-1].epoch} of them taken over from an earlier start"
    return f"{job.train.num_epochs} epochs"


def _train(
    job: TrainJob, resources: TrainResources, scratch: Path, *, stage: Stage[TrainResult], stop: Path | None
) -> TrainResult:
    start_s = time.monotonic()
    with storage(scratch):
        scratch.mkdir(parents=True, exist_ok=True)
    run_folder = RunFolder(stage.run.resolve())
    settings = {
        "job": job.model_dump(mode="json"),
        "resources": resources.model_dump(mode="json"),
        "progress": str(scratch / EPOCHS),
        "notes": str(scratch / NOTES),
        "stop": str(stop.resolve()) if stop else "",
        "events": str(run_folder.tensorboard(stage.name)),
        "steps_before": run_folder.steps_before(stage.name),
    }
    with (
        follow(scratch / EPOCHS, describe=lambda line: _ROW.validate_json(line).line(job.name)),
        follow(scratch / NOTES, describe=lambda line: f"{job.name}: {line}"),
        shown(scratch, name=job.name),
    ):
        result = _fit(settings, resources, scratch)
    if result.checkpoint is None:
        raise RuntimeError(f"stage {stage.name} ended without a checkpoint: see the training worker's log")
    with stage.attempt() as folder, result.checkpoint.as_directory() as last:
        best = Path(last) / BEST
        weights = best if best.exists() else Path(last) / WEIGHTS
        copies = {WEIGHTS: weights, CARD: Path(last) / CARD, EPOCHS: Path(last) / EPOCHS}
        files = [Path(shutil.copy(source, folder / name)) for name, source in copies.items()]
        rows = read_rows(folder / EPOCHS)
        patience = job.train.patience_epochs
        kept = best_epoch([row.validation for row in rows]) if patience else len(rows)
        trained = stage.finish(
            folder,
            Written(
                TrainResult(len(rows), kept, sum(row.num_steps for row in rows), rows[-1]),
                files=files,
                settings=job,
                archive_versions=job.archive_versions,
                summary=_why_it_ended(rows, kept=kept, patience_epochs=patience) if patience else f"{len(rows)} epochs",
            ),
            seconds=time.monotonic() - start_s,
        )
    shutil.rmtree(scratch)
    return trained


def _fit(settings: dict[str, Any], resources: TrainResources, scratch: Path) -> Result:
    """Train, and go on from the last checkpoint when workers are lost, but not after any other error.

    Ray Train itself would try again after every error, a full disk and a fault of ours included.
    """
    name = settings["job"]["name"]
    # Ray Train hands these on to its processes. The first is of a worker that is stopped before its own watchdog runs.
    os.environ["RAY_TRAIN_WORKER_HEALTH_CHECK_TIMEOUT_S"] = str(resources.stall_s)
    os.environ.setdefault("RAY_TRAIN_HEALTH_CHECK_INTERVAL_S", "0.5")  # otherwise an end is noticed 2 s late
    for lost in range(1, resources.max_failures + 2):
        remove_partial(scratch / "ray")
        trainer = TorchTrainer(
            train_loop,
            train_loop_config=settings,
            scaling_config=_scaling(resources),
            run_config=RunConfig(
                name="ray",
                storage_path=str(scratch),
                failure_config=FailureConfig(max_failures=0, controller_failure_limit=3),
                checkpoint_config=CheckpointConfig(num_to_keep=2),
            ),
        )
        noted = _size(scratch / NOTES)
        try:
            return _in_a_thread(trainer)
        except TrainingFailedError as error:
            cause = plain_cause(error)
            remove_partial(scratch / "ray")
            if isinstance(cause, WorkerLost) and _size(scratch / NOTES) > noted:
                cause = machine_fault(STOOD_STILL, detail=f"for resources.train.stall_s = {resources.stall_s:g} s")
            if not isinstance(cause, WorkerLost) or lost > resources.max_failures:
                raise cause from error
            log.warning(
                "%s: %s; going on after the last checkpoint (%d of resources.train.max_failures = %d)",
                *(name, str(cause).partition(":")[0], lost, resources.max_failures),
            )
    raise AssertionError("unreachable: the last attempt returns or raises")


def _in_a_thread(trainer: TorchTrainer) -> Result:
    """Train in another thread: in the main one Ray Train takes Ctrl-C over, and the command would end with 0."""
    done: Future[Result] = Future()

    def fit() -> None:
        try:
            done.set_result(trainer.fit())
        except BaseException as error:  # handed to the caller
            done.set_exception(error)

    Thread(target=fit, daemon=True).start()
    return done.result()


def _size(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0


def _why_it_ended(rows: list[EpochRow], *, kept: int, patience_epochs: int) -> str:
    risen = f"epoch {kept} is kept, validation {rows[kept - 1].validation:.3f}"
    if len(rows) - kept >= patience_epochs:
        return f"validation has not risen for {len(rows) - kept} epochs, training ends; {risen}"
    return f"all {len(rows)} epochs are done; {risen}"


def epoch_rows(stage: Stage[TrainResult]) -> list[EpochRow]:
    """Return what a finished training wrote of each epoch. Raises NotFinished."""
    return read_rows(stage.path(EPOCHS))


def read_rows(path: Path) -> list[EpochRow]:
    """Return the rows of an epochs.jsonl."""
    try:
        return [_ROW.validate_json(line) for line in path.read_bytes().splitlines()]
    except ValidationError as error:
        raise UserError(f"{path.name} is not what was written ({first_mistake(error)}): {REMEDY}") from None


def _scaling(resources: TrainResources) -> ScalingConfig:
    most = resources.num_workers
    return ScalingConfig(
        num_workers=(resources.min_workers, most) if resources.min_workers else most,
        use_gpu=resources.gpus > 0,
        resources_per_worker={"CPU": resources.cpus, **({"GPU": resources.gpus} if resources.gpus else {})},
    )
