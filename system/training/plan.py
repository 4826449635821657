"""What one epoch trains on: the samples, and the mini-batches made of them."""

from pathlib import Path

import numpy as np
import pyarrow as pa

from system.files.parquet import read_table, whole
from system.training.config import StrongInBatch
from system.training.job import TrainJob
from system.training.sampler import BatchPlan, Group
from system.training.samples import (
    NEGATIVE,
    POSITIVE,
    SampleIndex,
    SampleRole,
    keep_share,
    make_index,
    outlined_rows,
    pool_rows,
    strong_rows,
)


def epoch_index(job: TrainJob, epoch: int, *, images: pa.Table, masks: pa.Table) -> SampleIndex:
    """Return the samples of an epoch: the strong data, what radiologists outlined, and the pool of the epoch's p0.

    epoch: from 0
    images, masks: the archive's tables
    Raises UserError when an image is both strong and in the pool.
    """
    rows = strong_rows(keep_share(images, masks, share=job.strong_share), masks)
    if job.outlined:
        rows = pa.concat_tables([rows, outlined_rows(read_table(Path(job.outlined)))])
    if epoch in job.pools:
        file = Path(job.pools[epoch].file)
        with whole(file), pa.memory_map(str(file)) as source:
            pool = pa.ipc.open_file(source).read_all()
            mined = pool_rows(
                pool,
                mask_labels=job.loss.mask_labels,
                report_labels=job.loss.report_labels,
                disputed=job.disputed,
            )
            rows = pa.concat_tables([rows, mined])
    return make_index(rows, images, empty_masks=job.loss.empty_masks)


def plan_epoch(job: TrainJob, index: SampleIndex, epoch: int) -> BatchPlan:
    """Return the mini-batches of an epoch. epoch: from 0."""
    mixed = epoch in job.pools  # quotas are of batches that hold mined images too
    strong = job.strong_in_batch if mixed else StrongInBatch()
    shares = {
        SampleRole.STRONG_MASS: strong.positives,
        SampleRole.STRONG_FREE: strong.negatives,
        SampleRole.FN: job.fn_in_batch if mixed else None,
    }
    return BatchPlan(
        positives=_groups(index, "positive", POSITIVE, shares=shares),
        negatives=_groups(index, "negative", NEGATIVE, shares=shares),
        batch_size=job.train.batch_size,
        negatives_per_positive=job.train.negatives_per_positive,
        num_steps=job.train.steps_per_epoch,
        seed=(job.seed, epoch),
    )


def _groups(
    index: SampleIndex, name: str, roles: tuple[SampleRole, ...], *, shares: dict[SampleRole, float | None]
) -> tuple[Group, ...]:
    """Return the groups of one class: each role that has a share is drawn by itself, the others together."""
    alone = [(role, share) for role in roles if (share := shares.get(role)) is not None]
    together = [role for role in roles if shares.get(role) is None]
    groups = [Group(role.name, index.rows_of(role), share) for role, share in alone if share]
    return (*groups, Group(name, index.rows_of(*together))) if together else tuple(groups)


def mean_places(index: SampleIndex, batches: np.ndarray) -> dict[str, float]:
    """Return how many places of a batch each role holds, on average. batches: [steps, batch_size] rows of the index."""
    counts = np.bincount(index.role[batches].reshape(-1), minlength=len(SampleRole))
    return {role.name: float(counts[role]) / len(batches) for role in SampleRole}
