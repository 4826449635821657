"""Retrain on the fully labelled data and the pools of a round, from the latest model (seed 000, section 3.3)."""

from pipelines.mine import OUTLINED_FILE
from pipelines.train import TrainJob
from pipelines.train import run as train
from system.config import ClusterConfig
from system.mining import P0Schedule, pool_name
from system.runs import Manifest, Stage


def run(job: TrainJob, *, pools: Stage, schedule: P0Schedule, cluster: ClusterConfig, stage: Stage) -> Manifest:
    """Train with the pool of each epoch's p0; job.start names the model to go on from."""
    if done := stage.manifest():
        return done
    p0 = {epoch: schedule.at(epoch) for epoch in range(job.train.num_epochs)}
    snapshots = {epoch: str(pools.path(pool_name(value)).resolve()) for epoch, value in p0.items()}
    outlined = [str(path.resolve()) for path in pools.paths() if path.name == OUTLINED_FILE]  # none in pools of before readers were asked
    changes = {"pools": snapshots, "p0": p0, "outlined": "".join(outlined)}
    return train(job.model_copy(update=changes), cluster=cluster, stage=stage)
