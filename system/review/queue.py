"""Choose the images that a radiologist should see next.

Most are the images whose verdict is worth most for training; a given share is drawn at random.
"""

from enum import StrEnum

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from system.mining import RANDOM as DRAWN_AT_RANDOM
from system.mining.rules import distance_to_bound
from system.records import P0
from system.settings import Settings


class Why(StrEnum):
    """Why an image is in the queue."""

    DISPUTED = "disputed"  # the report says no mass, the map is as sure of one as where reports agree
    DISAGREEMENT = "disagreement"  # report and map disagree on a mass: |p_mass - score| is large
    NEAR_P0 = "near p0"  # p_mass is near p0 or 1 - p0: a verdict decides whether the image is used for training
    ENTROPY = "entropy"  # the map is uncertain
    RANDOM = DRAWN_AT_RANDOM  # drawn evenly from all: verdicts on these measure the purity of the pools without bias


class QueueConfig(Settings):
    """How many images, and how they are chosen."""

    size: int = Field(default=100, ge=1)  # images
    random_share: float = Field(default=0.2, ge=0, le=1)  # of the queue
    seed: int = Field(default=0, ge=0)


def acquire(
    p_mass: NDArray[np.float32],
    score: NDArray[np.float32],
    entropy: NDArray[np.float32],
    disputed: NDArray[np.bool_],
    *,
    p0: P0,
    config: QueueConfig,
) -> tuple[NDArray[np.int64], list[Why]]:
    """Return the places of the chosen images, highest priority first and the random ones last, and why each was chosen.

    The values of each criterion are turned into ranks from 0 to 1, so that their units do not matter. The priority of
    an image is its highest rank, whose criterion is also the reason; between equals the sum of the ranks decides. Rows
    in the same order give the same queue. Disputed images come before all others, by falling score.

    p_mass: [N] probability of a mass by the report, 0 to 1, NaN without a report
    score: [N] highest probability of a candidate, 0 to 1
    entropy: [N] of the map, mean bits a cell, 0 to 1
    disputed: [N] of mining.rules.disputed
    """
    size = min(config.size, len(p_mass))
    num_random = round(config.random_share * size)
    drawn = np.sort(np.random.default_rng(config.seed).choice(len(p_mass), num_random, replace=False))
    ranks = np.stack(
        [
            _ranks(np.abs(p_mass - score)),
            _ranks(-distance_to_bound(p_mass, p0=p0)),
            _ranks(entropy),
            np.where(disputed, 2 + score, -1.0),
        ]
    )
    best, total = ranks.max(axis=0), ranks[:3].sum(axis=0)
    best[drawn] = -1  # chosen already
    wanted = np.lexsort((np.arange(len(p_mass)), -total, -best))[: size - num_random]
    reasons = (Why.DISAGREEMENT, Why.NEAR_P0, Why.ENTROPY, Why.DISPUTED)
    why = [reasons[which] for which in ranks[:, wanted].argmax(axis=0)]
    return np.concatenate([wanted, drawn]).astype(np.int64), [*why, *[Why.RANDOM] * num_random]


def _ranks(values: NDArray[np.floating]) -> NDArray[np.float64]:
    """Return for each value the share of the others that are lower; NaN counts as the lowest."""
    known = np.nan_to_num(values.astype(np.float64), nan=-np.inf)
    _, place, counts = np.unique(known, return_inverse=True, return_counts=True)
    below = (np.cumsum(counts) - counts)[place]
    return below / max(1, len(values) - 1)
