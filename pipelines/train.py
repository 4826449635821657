"""Train a network with Ray Train: stage 1 on the fully labelled data, and the machinery that a round's retraining shares."""

import json
import shutil
import time
from pathlib import Path
from typing import Any

from ray.train import CheckpointConfig, FailureConfig, ScalingConfig
from ray.train import RunConfig as RayRunConfig
from ray.train.torch import TorchTrainer

from pipelines.progress import follow
from pipelines.train_loop import EPOCHS, TrainJob, train_loop
from system.config import ClusterConfig
from system.runs import Manifest, Stage

__all__ = ["TrainJob", "epoch_line", "epoch_rows", "run"]


def run(job: TrainJob, *, cluster: ClusterConfig, stage: Stage) -> Manifest:
    """Train until the job's last epoch and keep the last model; killed in between, it goes on after the last checkpoint.

    The manifest's files are model.safetensors, model.json and epochs.jsonl; the run's folder `tensorboard` gets the same numbers.
    """
    if done := stage.manifest():
        return done
    start = time.monotonic()
    storage = stage.folder.resolve() / "train"
    storage.mkdir(parents=True, exist_ok=True)
    scaling = ScalingConfig(
        num_workers=(cluster.min_train_workers, cluster.num_train_workers) if cluster.min_train_workers else cluster.num_train_workers,
        use_gpu=cluster.train_gpus > 0,
        resources_per_worker={"CPU": cluster.train_cpus, **({"GPU": cluster.train_gpus} if cluster.train_gpus else {})},
    )
    trainer = TorchTrainer(
        train_loop,
        train_loop_config={
            "job": job.model_dump(mode="json"),
            "progress": str(storage / EPOCHS),
            "events": str(stage.run.resolve() / "tensorboard" / stage.name),
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
            seconds=round(time.monotonic() - start, 1),
        )
    shutil.rmtree(storage)
    return manifest


def epoch_rows(stage: Stage) -> list[dict[str, Any]]:
    """Return what a finished training stage wrote of each epoch."""
    return [json.loads(line) for line in stage.path(EPOCHS).read_text(encoding="utf8").splitlines()]


def epoch_line(name: str, row: dict[str, Any]) -> str:
    """Return one epoch as a line for people."""
    losses = "  ".join(f"{key} {row['losses'][key]:.4f}" for key in ("total", "mask_strong", "class_strong", "mask_weak", "class_weak"))
    pools = "  ".join(f"{kind} {count}" for kind, count in row["samples"].items() if count)
    p0 = f"  p0 {row['p0']:.2f}" if row["p0"] else ""
    speed = f"{row['images_per_s']:.0f} images/s (wait {row['wait_share']:.0%})"
    if row["gpu_memory_bytes"]:
        speed += f"  {row['gpu_memory_bytes'] / 2**30:.1f} GiB"
    pace = f"rate {row['learning_rate']:.1e}  |grad| {row['gradient_norm']:.2f}  {speed}"
    return f"{name}  epoch {row['epoch']}/{row['num_epochs']}{p0}  loss {losses}  {pace}  {pools}"
