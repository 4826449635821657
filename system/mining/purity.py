"""Measure how right the pools are, where the truth is known (phantoms, images judged by a radiologist)."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from system.files.json_out import Measured
from system.records import Quadrant

# Whether an image of each quadrant shows a mass, if report and map are right.
_SHOULD_HAVE_MASS = {Quadrant.TP: True, Quadrant.FP: False, Quadrant.FN: True}


DISPUTED = "FP disputed"  # those of FP that rules.disputed names


@dataclass(frozen=True, slots=True)
class PoolPurity:
    """The share of a quadrant's images that are what it takes them for."""

    quadrant: str  # TP, FP, FN; or DISPUTED, part of FP
    num_known: int  # members whose truth is known
    share: Measured  # of these that are right, 0 to 1; NaN where no truth is known


def purity(
    keys: NDArray[np.int64],
    quadrant: NDArray[np.uint8],
    disputed: NDArray[np.bool_],
    *,
    truth_keys: NDArray[np.int64],
    has_mass: NDArray[np.bool_],
) -> tuple[PoolPurity, ...]:
    """Return the purity of TP, FP, FN and, of FP, the disputed, in this order.

    keys, quadrant, disputed: [N] of a pool
    truth_keys, has_mass: [M] of the images whose truth is known, keys unique
    """
    _, rows, truths = np.intersect1d(keys, truth_keys, assume_unique=True, return_indices=True)
    pools, marked, mass = quadrant[rows], disputed[rows], has_mass[truths]
    members = [(pool.name, pools == pool, should) for pool, should in _SHOULD_HAVE_MASS.items()]
    return tuple(
        PoolPurity(name, int(chosen.sum()), float((mass[chosen] == should).mean()) if chosen.any() else float("nan"))
        for name, chosen, should in [*members, (DISPUTED, marked, False)]
    )
