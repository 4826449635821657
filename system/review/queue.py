"""Choose the images that a radiologist should see next: those from which most is to be learned, and a stated share at random."""

from enum import StrEnum

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from system.mining import RANDOM as DRAWN_AT_RANDOM
from system.settings import Settings


class Why(StrEnum):
    """What brought an image into the queue."""

    DISAGREEMENT = "disagreement"  # report and map say different things: |y - s|
    NEAR_P0 = "near p0"  # the report is nearly sure enough, or hardly: a word decides whether the image teaches
    ENTROPY = "entropy"  # the map does not know
    RANDOM = DRAWN_AT_RANDOM  # drawn evenly from all: what she says of these tells how pure the pools are, without bias


class QueueConfig(Settings):
    """How many images, and how they are chosen."""

    size: int = Field(default=100, ge=1)  # images
    random_share: float = Field(default=0.2, ge=0, le=1)  # of the queue
    seed: int = Field(default=0, ge=0)


def acquire(
    y: NDArray[np.float32], score: NDArray[np.float32], entropy: NDArray[np.float32], *, p0: float, config: QueueConfig
) -> tuple[NDArray[np.int64], list[Why]]:
    """Return the places of the chosen images, most wanted first and the random ones last, and why each was chosen.

    Each criterion turns into a rank from 0 to 1, so that their units do not matter; an image is as wanted as its best rank, which is also
    the reason, and the sum of all decides between equals. Rows in a fixed order give the same queue.

    y: [N] probability of a mass by the report, NaN without one;  score: [N] highest probability of a candidate;  entropy: [N] of the map
    """
    size = min(config.size, len(y))
    num_random = round(config.random_share * size)
    drawn = np.sort(np.random.default_rng(config.seed).choice(len(y), num_random, replace=False))
    ranks = np.stack([_ranks(np.abs(y - score)), _ranks(-np.minimum(np.abs(y - p0), np.abs(y - (1 - p0)))), _ranks(entropy)])
    best, total = ranks.max(axis=0), ranks.sum(axis=0)
    best[drawn] = -1  # chosen already
    wanted = np.lexsort((np.arange(len(y)), -total, -best))[: size - num_random]
    reasons = (Why.DISAGREEMENT, Why.NEAR_P0, Why.ENTROPY)
    why = [reasons[which] for which in ranks[:, wanted].argmax(axis=0)]
    return np.concatenate([wanted, drawn]).astype(np.int64), [*why, *[Why.RANDOM] * num_random]


def _ranks(values: NDArray[np.floating]) -> NDArray[np.float64]:
    """Return the share of the others that lie below each value; NaN lies below all."""
    known = np.nan_to_num(values.astype(np.float64), nan=-np.inf)
    _, place, counts = np.unique(known, return_inverse=True, return_counts=True)
    below = (np.cumsum(counts) - counts)[place]
    return below / max(1, len(values) - 1)
