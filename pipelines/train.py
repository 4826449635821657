"""Train a network with Ray Train: stage 1 on the fully labelled data, and the machinery that a round's retraining shares."""

import json
import logging
import shutil
import tempfile
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pyarrow as pa
import ray.train
import torch
from pydantic import Field
from ray.train import Checkpoint, CheckpointConfig, FailureConfig, ScalingConfig
from ray.train import RunConfig as RayRunConfig
from ray.train.torch import TorchTrainer, get_device, prepare_model
from torch import nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from pipelines.progress import follow
from system.archive import Archive
from system.config import ClusterConfig
from system.imaging import ImagingConfig
from system.losses import LossConfig
from system.methods import METHODS
from system.nets import ModelCard, NetConfig, read_weights, write_model
from system.runs import Manifest, Stage
from system.settings import Settings
from system.training.checkpoint import Progress, read_training_state, write_training_state
from system.training.config import TrainConfig
from system.training.dataset import SampleReader, group_sizes, make_loader, to_batch
from system.training.epoch import EpochResult, Learner, run_epoch
from system.training.sampler import BatchPlan, share_of
from system.training.samples import SampleIndex, keep_share, make_index, pool_rows, strong_rows

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


def run(job: TrainJob, *, cluster: ClusterConfig, stage: Stage) -> Manifest:
    """Train until the job's last epoch and keep the last model; killed in between, it goes on after the last epoch.

    The manifest's files are model.safetensors, model.json and epochs.jsonl.
    """
    if done := stage.manifest():
        return done
    storage = stage.folder.resolve() / "train"
    storage.mkdir(parents=True, exist_ok=True)
    scaling = ScalingConfig(
        num_workers=cluster.num_train_workers,
        use_gpu=cluster.train_gpus > 0,
        resources_per_worker={"CPU": cluster.train_cpus, **({"GPU": cluster.train_gpus} if cluster.train_gpus else {})},
    )
    trainer = TorchTrainer(
        train_loop,
        train_loop_config={
            "job": job.model_dump(mode="json"),
            "progress": str(storage / EPOCHS),
            "threads": max(1, int(cluster.train_cpus)),
        },
        scaling_config=scaling,
        run_config=RayRunConfig(
            name="ray",
            storage_path=str(storage),
            failure_config=FailureConfig(max_failures=cluster.max_failures, controller_failure_limit=3),
            checkpoint_config=CheckpointConfig(num_to_keep=2),
        ),
    )
    with follow(storage / EPOCHS, describe=lambda row: epoch_line(job.name, row)):
        result = trainer.fit()
    if result.checkpoint is None:
        raise RuntimeError(f"stage {stage.name} ended without a checkpoint: see the training worker's log")
    with stage.attempt() as folder, result.checkpoint.as_directory() as last:
        files = [Path(shutil.copy(Path(last) / name, folder / name)) for name in ("model.safetensors", "model.json", EPOCHS)]
        rows = [json.loads(line) for line in (folder / EPOCHS).read_text(encoding="utf8").splitlines()]
        manifest = stage.finish(
            folder,
            files,
            rows=len(rows),
            config=job.model_dump(mode="json"),
            archive_versions=job.archive_versions,
            metrics={"last_epoch": rows[-1]},
        )
    shutil.rmtree(storage)
    return manifest


def train_loop(settings: dict[str, Any]) -> None:
    """Train in one worker; Ray calls it in every worker of the group."""
    job = TrainJob.model_validate(settings["job"])
    torch.set_num_threads(settings["threads"])
    context = ray.train.get_context()
    rank, num_workers = context.get_world_rank(), context.get_world_size()
    archive = Archive.open(job.archive_uri).pinned(job.archive_versions)
    learner = _make_learner(job)
    progress, lines = _resume(learner)
    images, masks = archive.table("images"), archive.table("masks")
    for epoch in range(progress.epoch, job.train.num_epochs):
        index = epoch_index(job, epoch, images=images, masks=masks)
        plan = plan_epoch(job, index, epoch)
        batches = list(plan.batches())
        reader = _reader(job, archive, index)
        loader = make_loader(
            reader, [share_of(batch, rank=rank, num_workers=num_workers) for batch in batches], num_workers=job.train.loader_workers
        )
        ready = (
            to_batch(stacked, group_sizes=group_sizes(index, batch, num_workers=num_workers), device=learner.device)
            for stacked, batch in zip(loader, batches, strict=True)
        )
        result = run_epoch(learner, ready, epoch=epoch, steps_per_epoch=len(batches))
        progress = Progress(epoch + 1, progress.step + result.num_steps, progress.bad_steps + result.bad_steps)
        lines.append(_epoch_row(job, epoch, index, result, num_workers=num_workers))
        _report(job, learner, progress, lines, archive=archive, progress_file=Path(settings["progress"]) if rank == 0 else None)


def epoch_index(job: TrainJob, epoch: int, *, images: pa.Table, masks: pa.Table) -> SampleIndex:
    """Return the samples of an epoch: the strong data, and the pool of the epoch's p0."""
    rows = strong_rows(keep_share(images, masks, share=job.strong_share), masks)
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


def epoch_rows(stage: Stage) -> list[dict[str, Any]]:
    """Return what a finished training stage wrote of each epoch."""
    return [json.loads(line) for line in stage.path(EPOCHS).read_text(encoding="utf8").splitlines()]


def epoch_line(name: str, row: dict[str, Any]) -> str:
    """Return one epoch as a line for people."""
    losses = "  ".join(f"{key} {row['losses'][key]:.4f}" for key in ("total", "mask_strong", "class_strong", "mask_weak", "class_weak"))
    pools = "  ".join(f"{kind} {count}" for kind, count in row["samples"].items() if count)
    p0 = f"  p0 {row['p0']:.2f}" if row["p0"] else ""
    speed = f"{row['images_per_s']:.0f} images/s (wait {row['wait_share']:.0%})"
    pace = f"rate {row['learning_rate']:.1e}  |grad| {row['gradient_norm']:.2f}  {speed}"
    return f"{name}  epoch {row['epoch']}/{row['num_epochs']}{p0}  loss {losses}  {pace}  {pools}"


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
    wrapped = prepare_model(model, move_to_device=False)
    return Learner(method, wrapped, optimizer, average, job.train, job.loss, device, job.seed)


def _bare(learner: Learner) -> nn.Module:
    return getattr(learner.model, "module", learner.model)


def _resume(learner: Learner) -> tuple[Progress, list[dict[str, Any]]]:
    """Load the last checkpoint of this stage, if there is one."""
    checkpoint = ray.train.get_checkpoint()
    if checkpoint is None:
        return Progress(0, 0, 0), []
    with checkpoint.as_directory() as text:
        folder = Path(text)
        raw, progress = read_training_state(folder, learner.optimizer)
        _bare(learner).load_state_dict(raw)
        if learner.average is not None:
            learner.average.module.load_state_dict(read_weights(folder))
            learner.average.n_averaged.fill_(progress.step - progress.bad_steps)
        lines = [json.loads(line) for line in (folder / EPOCHS).read_text(encoding="utf8").splitlines()]
    log.info("going on after epoch %d", progress.epoch)
    return progress, lines


def _reader(job: TrainJob, archive: Archive, index: SampleIndex) -> SampleReader:
    return SampleReader(index, archive.pixels, cache_images=job.train.cache_images)


def _epoch_row(job: TrainJob, epoch: int, index: SampleIndex, result: EpochResult, *, num_workers: int) -> dict[str, Any]:
    row = asdict(result) | {"epoch": epoch + 1, "num_epochs": job.train.num_epochs, "p0": job.p0.get(epoch, 0.0), "samples": index.counts()}
    return row | {"images_per_s": result.images_per_s * num_workers}


def _report(
    job: TrainJob, learner: Learner, progress: Progress, lines: list[dict[str, Any]], *, archive: Archive, progress_file: Path | None
) -> None:
    """Hand an epoch's checkpoint to Ray; rank 0 writes it."""
    if progress_file is None:
        ray.train.report(lines[-1])
        return
    with tempfile.TemporaryDirectory() as text:
        folder = Path(text)
        raw = _bare(learner).state_dict()
        best = learner.average.module.state_dict() if learner.average is not None else raw
        write_model(folder, best, _card(job, archive.imaging))
        write_training_state(folder, raw=raw, optimizer=learner.optimizer, progress=progress)
        (folder / EPOCHS).write_text("".join(json.dumps(line) + "\n" for line in lines), encoding="utf8")
        ray.train.report(lines[-1], checkpoint=Checkpoint.from_directory(text))
    with progress_file.open("a", encoding="utf8") as file:
        file.write(json.dumps(lines[-1]) + "\n")


def _card(job: TrainJob, imaging: ImagingConfig) -> ModelCard:
    net = job.net.model_dump()
    return ModelCard(job.method, net, imaging.height_px, imaging.width_px, classifies=job.train.class_factor > 0)
