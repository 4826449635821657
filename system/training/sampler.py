"""Which samples make which mini-batch: seeded, and the same for any number of workers.

Every batch has 1 positive to 5 negatives (Tang et al. 2021, section 4.2).
"""

import logging
from dataclasses import dataclass

import numpy as np

from system.errors import UserError

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class BatchPlan:
    """All mini-batches of one epoch.

    They are a pure function of the fields, so a resume at any step goes on with the same batches.
    """

    positives: np.ndarray  # rows of the index
    negatives: np.ndarray
    batch_size: int  # over all workers
    negatives_per_positive: int
    num_steps: int  # 0 = as many as show every positive once
    seed: tuple[int, ...]  # of the training, and the epoch

    def steps(self) -> int:
        """Return the number of mini-batches."""
        return self.num_steps or max(1, -(-len(self.positives) // max(1, self.positives_per_batch())))

    def positives_per_batch(self) -> int:
        """Return how many samples of a batch are positive.

        Where there are no positives, or no negatives, the other class fills the whole batch.
        """
        if not len(self.positives) or not len(self.negatives):
            return self.batch_size if len(self.positives) else 0
        return max(1, round(self.batch_size / (1 + self.negatives_per_positive)))

    def batches(self) -> np.ndarray:
        """Return rows of the index, [steps, batch_size] int64; each batch has its positives first.

        Samples are drawn without replacement; a class that runs short starts again, in a new order. A class without
        samples is logged as a warning.
        Raises UserError when there is nothing to train on.
        """
        if not len(self.positives) and not len(self.negatives):
            raise UserError(
                "nothing to train on: the index has neither positives nor negatives; check the splits and masks of the "
                "archive"
            )
        if not len(self.positives) or not len(self.negatives):
            log.warning(
                "no %s samples: batches hold only the other class", "negative" if len(self.positives) else "positive"
            )
        rng = np.random.default_rng(self.seed)
        num_positives, steps = self.positives_per_batch(), self.steps()
        for name, rows, wanted in (
            ("positive", self.positives, num_positives),
            ("negative", self.negatives, self.batch_size - num_positives),
        ):
            if len(rows) and steps * wanted > len(rows):
                log.info(
                    "%d %s samples for %d places of this epoch: they are used more than once",
                    len(rows),
                    name,
                    steps * wanted,
                )
        first = _draw(self.positives, steps * num_positives, rng).reshape(steps, num_positives)
        second = _draw(self.negatives, steps * (self.batch_size - num_positives), rng).reshape(steps, -1)
        return np.concatenate([first, second], axis=1)


def sample_seeds(seed: tuple[int, ...], *, batch_size: int) -> np.ndarray:
    """Return a seed for each sample of a mini-batch, [batch_size] int64.

    seed: of the training, the epoch and the step
    """
    return np.random.default_rng(seed).integers(np.iinfo(np.int64).max, size=batch_size)


def share_of(batch: np.ndarray, *, rank: int, num_workers: int) -> np.ndarray:
    """Return one worker's part of a global batch: every n-th row, which keeps the ratio of classes as nearly as it can.

    Parts may differ by a row. The losses are divided by the counts of the whole batch (`group_sizes`), so a row of a
    small part does not weigh more.
    Raises UserError when a worker would get nothing.
    """
    if len(batch) < num_workers:
        raise UserError(
            f"batch_size {len(batch)} is less than {num_workers} workers: "
            "change resources.train.num_workers, or batch_size in stage1 and rounds.train"
        )
    return batch[rank::num_workers]


def _draw(rows: np.ndarray, count: int, rng: np.random.Generator) -> np.ndarray:
    if not count:
        return np.empty(0, np.int64)
    rounds = -(-count // len(rows))
    return np.concatenate([rng.permutation(rows) for _ in range(rounds)])[:count].astype(np.int64)
