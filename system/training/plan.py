"""What one epoch trains on: the samples, and the mini-batches made of them."""

import pyarrow as pa
import pyarrow.parquet as pq

from system.training.job import TrainJob
from system.training.sampler import BatchPlan
from system.training.samples import SampleIndex, keep_share, make_index, outlined_rows, pool_rows, strong_rows


def epoch_index(job: TrainJob, epoch: int, *, images: pa.Table, masks: pa.Table) -> SampleIndex:
    """Return the samples of an epoch: the strong data, what radiologists outlined, and the pool of the epoch's p0.

    epoch: from 0
    images, masks: the archive's tables
    Raises UserError when an image is both strong and in the pool.
    """
    rows = strong_rows(keep_share(images, masks, share=job.strong_share), masks)
    if job.outlined:
        rows = pa.concat_tables([rows, outlined_rows(pq.ParquetFile(job.outlined).read())])
    if epoch in job.pools:
        with pa.memory_map(job.pools[epoch].file) as source:
            pool = pa.ipc.open_file(source).read_all()
            mined = pool_rows(pool, mask_labels=job.loss.mask_labels, report_labels=job.loss.report_labels)
            rows = pa.concat_tables([rows, mined])
    return make_index(rows, images, empty_masks=job.loss.empty_masks)


def plan_epoch(job: TrainJob, index: SampleIndex, epoch: int) -> BatchPlan:
    """Return the mini-batches of an epoch. epoch: from 0."""
    return BatchPlan(
        positives=index.positives(),
        negatives=index.negatives(),
        batch_size=job.train.batch_size,
        negatives_per_positive=job.train.negatives_per_positive,
        num_steps=job.train.steps_per_epoch,
        seed=(job.seed, epoch),
    )
