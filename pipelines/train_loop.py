"""What every worker of Ray Train runs: the stage's epochs, from its last checkpoint on."""

import json
import logging
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import ray.train
import torch
from pydantic import Field
from ray.train import Checkpoint
from ray.train.torch import get_device, prepare_model
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from system.archive import Archive
from system.imaging import ImagingConfig
from system.losses import LossConfig
from system.methods import METHODS, Batch
from system.nets import ModelCard, NetConfig, read_weights, with_synced_norms, write_model
from system.settings import Settings
from system.training.checkpoint import Progress, read_training_state, write_training_state
from system.training.config import TrainConfig
from system.training.dataset import SampleReader, group_sizes, make_loader, to_batch
from system.training.epoch import EpochResult, Learner, bare, run_epoch
from system.training.sampler import BatchPlan, sample_seeds, share_of
from system.training.samples import SampleIndex, keep_share, make_index, outlined_rows, pool_rows, strong_rows
from system.training.tally import Tally

log = logging.getLogger(__name__)
EPOCHS = "epochs.jsonl"


class TrainJob(Settings):
    """Everything a worker needs to know; paths and settings only, so that it travels as JSON."""

    name: str  # stage's name, for log lines
    archive_uri: str
    archive_versions: dict[str, int]
    method: str
    net: NetConfig
    train: TrainConfig
    loss: LossConfig
    strong_share: float  # share of the fully labelled patients to use, 0 to 1
    seed: int
    start: str = ""  # folder of the checkpoint to go on from; empty = from `net`
    pools: dict[int, str] = Field(default={})  # epoch → pool snapshot; empty = strong data alone
    p0: dict[int, float] = Field(default={})  # epoch → p0 in force, for log lines
    outlined: str = ""  # Parquet file of mining.OUTLINED: weak images in which readers have outlined a mass; empty = none


def train_loop(settings: dict[str, Any]) -> None:
    """Train in one worker; Ray calls it in every worker of the group.

    settings: job, a TrainJob as JSON;  progress, the file that gets a line per epoch;  events, the folder of TensorBoard's file;
    threads, of torch
    """
    job = TrainJob.model_validate(settings["job"])
    torch.set_num_threads(settings["threads"])
    archive = Archive.open(job.archive_uri).pinned(job.archive_versions)
    context = ray.train.get_context()
    worker = Worker(job, archive, _make_learner(job), rank=context.get_world_rank(), num_workers=context.get_world_size())
    if job.train.synced_norms and job.train.batch_size % worker.num_workers:
        raise ValueError(
            f"train.synced_norms: {worker.num_workers} workers cannot share {job.train.batch_size} images evenly; change train.batch_size"
        )
    images, masks = archive.table("images"), archive.table("masks")
    progress, lines = worker.resume()
    with _watchers(worker.rank, progress=Path(settings["progress"]), events=Path(settings["events"])) as tell:
        for epoch in range(progress.epoch, job.train.num_epochs):
            index = epoch_index(job, epoch, images=images, masks=masks)
            batches = list(plan_epoch(job, index, epoch).batches())
            before = progress.between_epochs()
            result = run_epoch(
                worker.learner,
                worker.read(index, batches, epoch=epoch, first_step=progress.steps_in_epoch),
                epoch=epoch,
                steps_per_epoch=len(batches),
                tally=progress.tally,
                after_step=partial(worker.keep_sometimes, before=before, lines=lines, num_steps=len(batches)),
            )
            lines.append(_epoch_row(job, epoch, index, result, worker=worker, resumed_at_step=progress.steps_in_epoch))
            progress = before.after_epoch(num_steps=result.num_steps, bad_steps=result.bad_steps)
            worker.keep(progress, lines)
            tell(lines[-1])


@dataclass(frozen=True)
class Worker:
    """One of the group, and what it works with."""

    job: TrainJob
    archive: Archive
    learner: Learner
    rank: int
    num_workers: int

    def read(self, index: SampleIndex, batches: list[np.ndarray], *, epoch: int, first_step: int) -> Iterator[Batch]:
        """Give this worker's share of an epoch's batches from a step on, read and on the device."""
        mine = partial(share_of, rank=self.rank, num_workers=self.num_workers)
        reader = SampleReader(index, self.archive.pixels, cache_images=self.job.train.cache_images)
        left = batches[first_step:]
        loader = make_loader(reader, [mine(batch) for batch in left], num_workers=self.job.train.loader_workers)
        for step, (stacked, batch) in enumerate(zip(loader, left, strict=True), start=first_step):
            seeds = sample_seeds((self.job.seed, epoch, step), batch_size=len(batch))
            sizes = group_sizes(index, batch, num_workers=self.num_workers)
            keys = index.image_key[mine(batch)]
            yield to_batch(stacked, group_sizes=sizes, seeds=mine(seeds), image_keys=keys, device=self.learner.device)

    def keep_sometimes(self, tally: Tally, *, before: Progress, lines: list[dict[str, Any]], num_steps: int) -> None:
        """Keep a checkpoint in mid-epoch where the settings ask for one; `before`: the epoch's start."""
        every = self.job.train.checkpoint_steps
        if every and tally.steps % every == 0 and tally.steps < num_steps:
            self.keep(before.in_epoch(tally), lines)

    def keep(self, progress: Progress, lines: list[dict[str, Any]]) -> None:
        """Hand a checkpoint to Ray; rank 0 writes it. Every worker must call this: it is where they wait for each other."""
        metrics = {"epoch": progress.epoch, "step": progress.step}
        if self.rank:
            ray.train.report(metrics)
            return
        with tempfile.TemporaryDirectory() as text:
            folder, average = Path(text), self.learner.average
            raw = bare(self.learner.model).state_dict()
            write_model(folder, raw if average is None else average.module.state_dict(), _card(self.job, self.archive.imaging))
            write_training_state(folder, raw=raw, optimizer=self.learner.optimizer, progress=progress)
            (folder / EPOCHS).write_text("".join(json.dumps(line) + "\n" for line in lines), encoding="utf8")
            ray.train.report(metrics, checkpoint=Checkpoint.from_directory(text))

    def resume(self) -> tuple[Progress, list[dict[str, Any]]]:
        """Load the last checkpoint of this stage, if there is one."""
        checkpoint = ray.train.get_checkpoint()
        if checkpoint is None:
            return Progress(0, 0, 0), []
        with checkpoint.as_directory() as text:
            folder = Path(text)
            raw, progress = read_training_state(folder, self.learner.optimizer)
            bare(self.learner.model).load_state_dict(raw)
            if (average := self.learner.average) is not None:
                average.module.load_state_dict(read_weights(folder))
                average.n_averaged.fill_(progress.step - progress.bad_steps)
            lines = [json.loads(line) for line in (folder / EPOCHS).read_text(encoding="utf8").splitlines()]
        log.info("going on after epoch %d, step %d", progress.epoch, progress.steps_in_epoch)
        return progress, lines


def epoch_index(job: TrainJob, epoch: int, *, images: pa.Table, masks: pa.Table) -> SampleIndex:
    """Return the samples of an epoch: the strong data, what readers outlined, and the pool of the epoch's p0."""
    rows = strong_rows(keep_share(images, masks, share=job.strong_share), masks)
    if job.outlined:
        rows = pa.concat_tables([rows, outlined_rows(pq.ParquetFile(job.outlined).read())])
    if epoch in job.pools:
        with pa.memory_map(job.pools[epoch]) as source:
            pool = pa.ipc.open_file(source).read_all()
            mined = pool_rows(pool, mask_labels=job.loss.mask_labels, report_labels=job.loss.report_labels)
            rows = pa.concat_tables([rows, mined])
    return make_index(rows, images, empty_masks=job.loss.empty_masks)


def plan_epoch(job: TrainJob, index: SampleIndex, epoch: int) -> BatchPlan:
    """Return the mini-batches of an epoch."""
    return BatchPlan(
        positives=index.positives(),
        negatives=index.negatives(),
        batch_size=job.train.batch_size,
        negatives_per_positive=job.train.negatives_per_positive,
        num_steps=job.train.steps_per_epoch,
        seed=(job.seed, epoch),
    )


def _make_learner(job: TrainJob) -> Learner:
    torch.manual_seed(job.seed)
    method, device = METHODS[job.method], get_device()
    assert isinstance(device, torch.device)
    start = Path(job.start)
    net = job.net.model_copy(update={"pretrained": False}) if job.start else job.net
    model = method.build(net)
    if job.start:
        model.load_state_dict(read_weights(start))
    model.train().to(device=device, memory_format=torch.channels_last)  # type: ignore[call-overload]
    groups = method.parameter_groups(model, learning_rate=job.train.learning_rate, class_factor=job.train.class_factor)
    optimizer = torch.optim.Adam(groups)
    average = (
        AveragedModel(model, multi_avg_fn=get_ema_multi_avg_fn(job.train.ema_decay), use_buffers=False) if job.train.ema_decay else None
    )
    if job.train.synced_norms and ray.train.get_context().get_world_size() > 1:
        model = with_synced_norms(model)
    if job.train.compile:
        model.compile()
    wrapped = prepare_model(model, move_to_device=False)
    return Learner(method, wrapped, optimizer, average, job.train, job.loss, device)


def _epoch_row(
    job: TrainJob, epoch: int, index: SampleIndex, result: EpochResult, *, worker: Worker, resumed_at_step: int
) -> dict[str, Any]:
    numbers = {"epoch": epoch + 1, "num_epochs": job.train.num_epochs, "p0": job.p0.get(epoch, 0.0), "samples": index.counts()}
    numbers |= {"workers": worker.num_workers, "images_per_s": result.images_per_s * worker.num_workers, "resumed_at_step": resumed_at_step}
    return asdict(result) | numbers


@contextmanager
def _watchers(rank: int, *, progress: Path, events: Path) -> Iterator[Callable[[dict[str, Any]], None]]:
    """Give what tells of an epoch's row: a line of JSON, and TensorBoard's scalars. Of all workers, rank 0 alone tells."""
    if rank:
        yield lambda _: None
        return
    from tensorboardX import SummaryWriter  # a second to import

    with SummaryWriter(str(events)) as writer, progress.open("a", encoding="utf8") as file:

        def tell(row: dict[str, Any]) -> None:
            print(json.dumps(row), file=file, flush=True)
            for name, value in row.items():
                for inner, number in value.items() if isinstance(value, dict) else [("", value)]:
                    writer.add_scalar(f"{name}/{inner}" if inner else f"epoch/{name}", number, row["epoch"])
            writer.flush()

        yield tell


def _card(job: TrainJob, imaging: ImagingConfig) -> ModelCard:
    net = job.net.model_dump()
    return ModelCard(job.method, net, imaging.height_px, imaging.width_px, classifies=job.train.class_factor > 0)
