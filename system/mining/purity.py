"""Say how right the pools are, where the truth is known (phantoms, reviewed images)."""

import numpy as np
from numpy.typing import NDArray

from system.records import Quadrant

# What an image of each pool should be, if report and map spoke the truth: does its breast show a mass in this view?
_SHOULD_HAVE_MASS = {Quadrant.TP: True, Quadrant.FP: False, Quadrant.FN: True}


def purity(
    keys: NDArray[np.int64], quadrant: NDArray[np.uint8], *, truth_keys: NDArray[np.int64], has_mass: NDArray[np.bool_]
) -> dict[str, dict[str, float | int | None]]:
    """Return for each pool the share of its images that are what the pool takes them for, and how many have a known truth.

    keys, quadrant: [N] of a pool;  truth_keys, has_mass: [M] of the images whose truth is known, keys unique.
    The share is None where no truth is known.
    """
    _, rows, truths = np.intersect1d(keys, truth_keys, assume_unique=True, return_indices=True)
    pools, mass = quadrant[rows], has_mass[truths]
    shares: dict[str, dict[str, float | int | None]] = {}
    for pool, should in _SHOULD_HAVE_MASS.items():
        right = mass[pools == pool] == should
        shares[pool.name] = {"share": float(right.mean()) if right.size else None, "known": int(right.size)}
    return shares
