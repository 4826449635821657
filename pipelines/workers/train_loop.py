"""What every worker of Ray Train runs: the stage's epochs, from its last checkpoint on."""

import logging
import math
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, fields, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import ray.train
import torch
from pydantic import TypeAdapter
from ray.train import Checkpoint
from ray.train.collective import broadcast_from_rank_zero
from ray.train.torch import get_device, prepare_model
from safetensors.torch import load_file, save_file
from torch import Tensor
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from pipelines.workers.live import NowFile, now_of
from system.archive import Archive
from system.errors import UserError
from system.faults import storage
from system.files.atomic import append_line
from system.imaging import ImagingConfig
from system.methods import METHODS, Batch
from system.nets import ModelCard, read_weights, with_synced_norms, write_model
from system.resources import TrainResources
from system.training.checkpoint import TrainingPosition, read_training_state, write_training_state
from system.training.dataset import SampleReader, group_sizes, make_loader, to_batch
from system.training.epoch import Learner, bare, resolve_precision, run_epoch
from system.training.epoch_row import EpochResult, EpochRow
from system.training.epoch_scalars import epoch_scalars
from system.training.job import TrainJob
from system.training.patience import best_epoch, has_stopped_rising
from system.training.plan import epoch_index, mean_places, plan_epoch
from system.training.sampler import sample_seeds, share_of
from system.training.samples import SampleIndex
from system.training.tally import Tally
from system.training.validation import Validation, validation_of
from system.watchdog import StallLimit, Watchdog, watchdog

log = logging.getLogger(__name__)
EPOCHS = "epochs.jsonl"
BEST = "best.safetensors"  # in a checkpoint: the weights of the epoch that is best on validation, where it is measured
_ROW = TypeAdapter(EpochRow)


def train_loop(settings: dict[str, Any]) -> None:
    """Train in one worker; Ray calls it in every worker of the group.

    settings: `job`, a TrainJob as JSON; `resources`, TrainResources as JSON; `progress`, the file that gets a line
    per epoch; `events`, the folder of TensorBoard's file; `steps_before`, of the trainings that this one follows on its
    axis; `notes`, the file that gets a line if this worker
    stands still; `stop`, a file that ends the training after an epoch once it is there, "" for none
    """
    resources = TrainResources.model_validate(settings["resources"])
    limit = StallLimit(resources.stall_s, settings["notes"])
    watch = watchdog(limit, who=f"training worker {ray.train.get_context().get_world_rank()}")
    with watch.during("starting"):
        _train(settings, resources, watch)


def _train(settings: dict[str, Any], resources: TrainResources, watch: Watchdog) -> None:
    job = TrainJob.model_validate(settings["job"])
    torch.set_num_threads(max(1, int(resources.cpus)))
    archive = Archive.open(job.archive_uri).pinned(job.archive_versions)
    context = ray.train.get_context()
    rank, num_workers = context.get_world_rank(), context.get_world_size()
    kept_in = Path(settings["progress"]).parent
    learner, now = _make_learner(job), NowFile(kept_in)
    worker = Worker(kept_in, job, resources, archive, learner, watch, rank=rank, num_workers=num_workers, now=now)
    if job.train.synced_norms and job.train.batch_size % num_workers:
        raise UserError(
            f"synced_norms: {num_workers} workers cannot share batch_size {job.train.batch_size} evenly; change "
            "resources.train.num_workers, or batch_size in stage1 and rounds.train"
        )
    images, masks = archive.table("images"), archive.table("masks")
    validation = None
    if job.train.patience_epochs or job.measured:
        validation = validation_of(archive, froc=job.froc, rank=rank, num_workers=num_workers)
    position, rows = worker.resume()
    with _observed(rank, settings) as publish:
        for epoch in range(position.epoch, job.train.num_epochs):
            if has_stopped_rising([row.validation for row in rows], patience_epochs=job.train.patience_epochs):
                break
            if settings["stop"] and rows and worker.is_told_to_stop(settings["stop"]):
                break
            began = time.monotonic()
            index = epoch_index(job, epoch, images=images, masks=masks)
            batches = list(plan_epoch(job, index, epoch).batches())
            before = position.between_epochs()
            result = run_epoch(
                worker.learner,
                worker.read(index, batches, epoch=epoch, first_step=position.steps_in_epoch),
                epoch=epoch,
                steps_per_epoch=len(batches),
                tally=position.tally,
                after_step=partial(worker.keep_sometimes, before=before, rows=rows, num_steps=len(batches)),
            )
            facts = _EpochFacts(
                epoch=epoch,
                resumed_at_step=position.steps_in_epoch,
                places=mean_places(index, np.stack(batches)),
                validation=worker.measure(validation),
                seconds=time.monotonic() - began,
            )
            rows.append(worker.row(result, index, facts))
            if job.train.patience_epochs and best_epoch([row.validation for row in rows]) == len(rows):
                worker.take_as_best()
            position = before.after_epoch(num_steps=result.num_steps, bad_steps=result.bad_steps)
            worker.keep(position, rows)
            publish(rows[-1], position.step)


@dataclass(frozen=True)
class _EpochFacts:
    """What is known of an epoch beside what training on it came to."""

    epoch: int  # from 0
    resumed_at_step: int  # 0 = it was not resumed in mid-epoch
    places: dict[str, float]  # role -> places of a batch that it holds, on average
    validation: float  # mean sensitivity, 0 to 1; NaN where it was not measured
    seconds: float  # of this worker, validation included


@dataclass(frozen=True)
class Worker:
    """One of the group, and what it works with."""

    kept_in: Path  # folder of the checkpoints
    job: TrainJob
    resources: TrainResources
    archive: Archive
    learner: Learner
    watch: Watchdog
    rank: int
    num_workers: int
    now: NowFile
    # The weights of the epoch that is best on validation: of rank 0 alone, where the training is measured there.
    best: dict[str, Tensor] = field(default_factory=dict[str, Tensor])

    def weights(self) -> Mapping[str, Tensor]:
        """Return the weights that are used later: the moving average where there is one."""
        average = self.learner.average
        return bare(self.learner.model).state_dict() if average is None else average.module.state_dict()

    def is_told_to_stop(self, file: str) -> bool:
        """Return whether the file is there. Every worker must call it: all do as the first one sees it."""
        there = not self.rank and Path(file).exists()
        return broadcast_from_rank_zero(there) if self.num_workers > 1 else there

    def take_as_best(self) -> None:
        """Keep the weights as the best so far."""
        if not self.rank:
            kept = {name: value.detach().cpu().clone().contiguous() for name, value in self.weights().items()}
            self.best.update(kept)

    def measure(self, validation: Validation | None) -> float:
        """Return the mean sensitivity on validation; NaN where it is not measured. Every worker must call it."""
        if validation is None:
            return math.nan
        self.watch.alive("validating")
        learner = self.learner
        model = bare(learner.model) if learner.average is None else learner.average.module
        dtype = resolve_precision(learner.config.precision, learner.device)
        return validation.mean(learner.method, model, device=learner.device, dtype=dtype)

    def read(self, index: SampleIndex, batches: list[np.ndarray], *, epoch: int, first_step: int) -> Iterator[Batch]:
        """Give this worker's share of an epoch's batches from a step on, read and on the device."""
        mine = partial(share_of, rank=self.rank, num_workers=self.num_workers)
        reader = SampleReader(index, self.archive.pixels, cache_images=self.resources.cache_images)
        left = batches[first_step:]
        loader = make_loader(reader, [mine(batch) for batch in left], num_workers=self.resources.loader_workers)
        for step, (stacked, batch) in enumerate(zip(loader, left, strict=True), start=first_step):
            seeds = sample_seeds((self.job.seed, epoch, step), batch_size=len(batch))
            sizes = group_sizes(index, batch, num_workers=self.num_workers)
            keys = index.image_key[mine(batch)]
            yield to_batch(stacked, group_sizes=sizes, seeds=mine(seeds), image_keys=keys, device=self.learner.device)

    def row(self, result: EpochResult, index: SampleIndex, facts: _EpochFacts) -> EpochRow:
        """Return the epoch's row."""
        whole_group = replace(result, images_per_s=result.images_per_s * self.num_workers)
        return EpochRow(
            *(getattr(whole_group, each.name) for each in fields(EpochResult)),
            epoch=facts.epoch + 1,
            num_epochs=self.job.train.num_epochs,
            p0=self.job.pools[facts.epoch].p0 if facts.epoch in self.job.pools else 0.0,
            samples=index.counts(),
            workers=self.num_workers,
            resumed_at_step=facts.resumed_at_step,
            places=facts.places,
            validation=facts.validation,
            seconds=round(facts.seconds, 1),
        )

    def keep_sometimes(self, tally: Tally, *, before: TrainingPosition, rows: list[EpochRow], num_steps: int) -> None:
        """Keep a checkpoint in mid-epoch where the resources ask for one. before: the epoch's start."""
        epoch, num_epochs = before.epoch + 1, self.job.train.num_epochs
        self.watch.alive(f"epoch {epoch}, after step {tally.steps}")
        if not self.rank:
            workers = self.num_workers
            self.now.write(now_of(tally, epoch=epoch, num_epochs=num_epochs, num_steps=num_steps, num_workers=workers))
        every = self.resources.checkpoint_steps
        if every and tally.steps % every == 0 and tally.steps < num_steps:
            self.keep(before.in_epoch(tally), rows)

    def keep(self, position: TrainingPosition, rows: list[EpochRow]) -> None:
        """Hand a checkpoint to Ray; rank 0 writes it. Every worker must call this: they wait for each other here."""
        self.watch.alive(f"keeping epoch {position.epoch}, step {position.step}")
        metrics = {"epoch": position.epoch, "step": position.step}
        if self.rank:
            ray.train.report(metrics)
            return
        with storage(tempfile.gettempdir()), tempfile.TemporaryDirectory() as text:
            folder = Path(text)
            raw = bare(self.learner.model).state_dict()
            write_model(folder, self.weights(), _card(self.job, self.archive.imaging))
            write_training_state(folder, raw=raw, optimizer=self.learner.optimizer, position=position)
            if self.best:
                save_file(self.best, folder / BEST)
            (folder / EPOCHS).write_text("".join(_as_line(row) for row in rows), encoding="utf8")
            num_bytes = sum(path.stat().st_size for path in folder.iterdir())
            with storage(self.kept_in, num_bytes=num_bytes):
                ray.train.report(metrics, checkpoint=Checkpoint.from_directory(text))

    def resume(self) -> tuple[TrainingPosition, list[EpochRow]]:
        """Load the last checkpoint of this stage, if there is one."""
        checkpoint = ray.train.get_checkpoint()
        if checkpoint is None:
            return TrainingPosition(0, 0, 0), []
        with checkpoint.as_directory() as text:
            folder = Path(text)
            raw, position = read_training_state(folder, self.learner.optimizer)
            bare(self.learner.model).load_state_dict(raw)
            if (average := self.learner.average) is not None:
                average.module.load_state_dict(read_weights(folder))
                average.n_averaged.fill_(position.step - position.bad_steps)
            if not self.rank and (folder / BEST).exists():
                self.best.update(load_file(folder / BEST))
            lines = (folder / EPOCHS).read_text(encoding="utf8").splitlines()
        log.info("going on after epoch %d, step %d", position.epoch, position.steps_in_epoch)
        return position, [_ROW.validate_json(line) for line in lines]


def _make_learner(job: TrainJob) -> Learner:
    torch.manual_seed(job.seed)
    method, device = METHODS[job.method], get_device()
    assert isinstance(device, torch.device)
    net = job.net.changed(pretrained=False) if job.start else job.net
    model = method.build(net)
    if job.start:
        model.load_state_dict(read_weights(Path(job.start)))
    model.train().to(device=device, memory_format=torch.channels_last)  # type: ignore[call-overload]
    groups = method.parameter_groups(
        model,
        learning_rate=job.train.learning_rate,
        class_factor=job.train.class_factor,
        backbone_factor=job.train.backbone_factor,
    )
    optimizer = torch.optim.AdamW(groups, weight_decay=job.train.weight_decay)
    average = None
    if job.train.ema_decay:
        average = AveragedModel(model, multi_avg_fn=get_ema_multi_avg_fn(job.train.ema_decay), use_buffers=False)
    if job.train.synced_norms and ray.train.get_context().get_world_size() > 1:
        model = with_synced_norms(model)
    if job.train.compile:
        model.compile()
    wrapped = prepare_model(model, move_to_device=False)
    return Learner(method, wrapped, optimizer, average, job.train, job.loss, device)


@contextmanager
def _observed(rank: int, settings: dict[str, Any]) -> Iterator[Callable[[EpochRow, int], None]]:
    """Give what publishes an epoch's row: a line of JSON, and TensorBoard's scalars. Only rank 0 does so.

    It is called with the row and the steps since the training began.
    """
    if rank:
        yield lambda _row, _step: None
        return
    from pipelines.workers.events import EventFile  # a second to import

    progress, events = Path(settings["progress"]), Path(settings["events"])
    with storage(events):
        file = EventFile(events)

    def publish(row: EpochRow, step: int) -> None:
        append_line(progress, _as_line(row))
        with storage(events):
            file.write(epoch_scalars(row), step=settings["steps_before"] + step)

    try:
        yield publish
    finally:
        with suppress(OSError):  # what it could not write has raised in `publish`
            file.close()


def _as_line(row: EpochRow) -> str:
    return _ROW.dump_json(row).decode() + "\n"


def _card(job: TrainJob, imaging: ImagingConfig) -> ModelCard:
    net = job.net.model_dump()
    return ModelCard(job.method, net, imaging.height_px, imaging.width_px, classifies=job.train.class_factor > 0)
