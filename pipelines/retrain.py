"""Retrain on the fully annotated data and a round's pools, from the latest model (Tang et al. 2021, section 3.3)."""

from pathlib import Path

from pipelines import train
from system.mining import P0Schedule
from system.resources import TrainResources
from system.run.results import PoolsResult, TrainResult
from system.run.stage import Stage
from system.training.job import EpochPool, TrainJob


def run(
    job: TrainJob,
    *,
    pools: Stage[PoolsResult],
    schedule: P0Schedule,
    resources: TrainResources,
    stage: Stage[TrainResult],
    stop: Path | None = None,
) -> TrainResult:
    """Train with the pool of each epoch's p0; job.start names the model to go on from. Needs a running Ray.

    stop: as of `train.run`
    """
    if stage.finished:
        return stage.result()
    mined = pools.result()
    of_epoch = {epoch: mined.pool_of(schedule.at(epoch)) for epoch in range(job.train.num_epochs)}
    files = {
        epoch: EpochPool(file=str(pools.path(pool.file).resolve()), p0=pool.p0) for epoch, pool in of_epoch.items()
    }
    outlined = str(pools.path(mined.outlined).resolve())
    return train.run(job.changed(pools=files, outlined=outlined), resources=resources, stage=stage, stop=stop)
