"""Which samples make which mini-batch: seeded, and the same for any number of workers.

Every batch has 1 positive to 5 negatives (Tang et al. 2021, section 4.2).
"""

import logging
from dataclasses import dataclass

import numpy as np

from system.errors import UserError

log = logging.getLogger(__name__)
_GOLDEN_RATIO = (1 + 5**0.5) / 2
_ROUNDING = 1e-9  # 0.7 of 10 places are 7, not 6.999999999999999


@dataclass(frozen=True)
class Group:
    """Samples of one class that are drawn together."""

    name: str  # for log lines
    rows: np.ndarray  # of the index
    # Of the places of its class in a batch, 0 to 1; None = what the others leave.
    share: float | None = None


@dataclass(frozen=True)
class BatchPlan:
    """All mini-batches of one epoch.

    They are a pure function of the fields, so a resume at any step goes on with the same batches.
    """

    positives: tuple[Group, ...]
    negatives: tuple[Group, ...]
    batch_size: int  # over all workers
    negatives_per_positive: int
    num_steps: int  # 0 = as many as show every positive once
    seed: tuple[int, ...]  # of the training, and the epoch

    def steps(self) -> int:
        """Return the number of mini-batches.

        Raises UserError where it is to be as many as show every positive once, and there is no positive.
        """
        if self.num_steps:
            return self.num_steps
        if not _size(self.positives):
            raise UserError(
                "steps_per_epoch is 0, as many as show every image with a mass once, and no image that trains has one: "
                "annotate masses in split strong, or set steps_per_epoch in stage1 and rounds.train"
            )
        return -(-_size(self.positives) // self.positives_per_batch())

    def positives_per_batch(self) -> int:
        """Return how many samples of a batch are positive.

        Where there are no positives, or no negatives, the other class fills the whole batch.
        """
        if not _size(self.positives) or not _size(self.negatives):
            return self.batch_size if _size(self.positives) else 0
        return max(1, round(self.batch_size / (1 + self.negatives_per_positive)))

    def batches(self) -> np.ndarray:
        """Return rows of the index, [steps, batch_size] int64; each batch has its positives first.

        Samples are drawn without replacement; a group that runs short starts again, in a new order. A class without
        samples is logged as a warning.
        Raises UserError when there is nothing to train on.
        """
        missing = [name for name, groups in self._classes() if not _size(groups)]
        if len(missing) == 2:
            raise UserError(
                "nothing to train on: the index has neither positives nor negatives; check the splits and masks of the "
                "archive"
            )
        if missing:
            log.warning("no %s samples: batches hold only the other class", missing[0])
        rng = np.random.default_rng(self.seed)
        num_positives, steps = self.positives_per_batch(), self.steps()
        places = (num_positives, self.batch_size - num_positives)
        drawn = [
            _draw_class(groups, steps=steps, places=number, rng=rng)
            for (_, groups), number in zip(self._classes(), places, strict=True)
        ]
        return np.concatenate(drawn, axis=1)

    def _classes(self) -> tuple[tuple[str, tuple[Group, ...]], ...]:
        return ("positive", self.positives), ("negative", self.negatives)


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


def _size(groups: tuple[Group, ...]) -> int:
    return sum(len(group.rows) for group in groups)


def _draw_class(groups: tuple[Group, ...], *, steps: int, places: int, rng: np.random.Generator) -> np.ndarray:
    """Return the rows of one class, [steps, places] int64; in each batch the groups stand in their order."""
    filled = [group for group in groups if len(group.rows)]
    if not filled or not places:
        return np.empty((steps, 0), np.int64)
    bounds = _bounds(filled, steps=steps, places=places)
    rows = np.empty((steps, places), np.int64)
    for number, group in enumerate(filled):
        first, last = bounds[:, number, None], bounds[:, number + 1, None]
        here = (np.arange(places) >= first) & (np.arange(places) < last)
        if here.sum() > len(group.rows):
            log.info(
                "%d %s samples for %d places of this epoch: they are used more than once",
                len(group.rows),
                group.name,
                here.sum(),
            )
        rows[here] = _draw(group.rows, int(here.sum()), rng)
    return rows


def _bounds(groups: list[Group], *, steps: int, places: int) -> np.ndarray:
    """Return where each group's places begin and end in every batch, [steps, groups + 1] int64.

    A share that is no whole number of places holds on average: half a place is one place in every second batch.
    """
    given = np.array([np.nan if group.share is None else group.share for group in groups])
    open_to = np.isnan(given)
    rest = max(0.0, 1.0 - np.nansum(given))
    shares = np.where(open_to, rest / max(1, open_to.sum()), given)
    shares = shares / shares.sum() if shares.sum() > 0 else np.full(len(groups), 1 / len(groups))
    until = np.cumsum(shares)[:-1] * places  # of a batch
    offset = np.arange(steps)[:, None] * _GOLDEN_RATIO % 1  # spread evenly over 0 to 1, however many steps there are
    inner = np.floor(until + offset + _ROUNDING).astype(np.int64)
    return np.concatenate([np.zeros((steps, 1), np.int64), inner, np.full((steps, 1), places)], axis=1)


def _draw(rows: np.ndarray, count: int, rng: np.random.Generator) -> np.ndarray:
    if not count:
        return np.empty(0, np.int64)
    rounds = -(-count // len(rows))
    return np.concatenate([rng.permutation(rows) for _ in range(rounds)])[:count].astype(np.int64)
