"""Drift of a distribution: the population stability index of a reference and of what came since.

Siddiqi, "Credit Risk Scorecards" (2006): below .1 little has changed, above .25 much has.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

MIN_VALUES = 50  # of either side: with fewer the index is mostly chance
_AT_LEAST = 0.5  # values in a bin: an empty one would make the index infinite


def stability_index(
    reference: Sequence[float] | NDArray[np.float64], now: Sequence[float] | NDArray[np.float64], *, num_bins: int = 10
) -> float:
    """Return the population stability index of `now` against `reference`, 0 or more; NaN where either is too small.

    Bins hold equal shares of the reference; values that are equal stay in one bin, so there may be fewer.

    reference, now: values from 0 to 1, NaN left out
    """
    first, second = (np.asarray(values, dtype=np.float64) for values in (reference, now))
    first, second = first[~np.isnan(first)], second[~np.isnan(second)]
    if min(len(first), len(second)) < MIN_VALUES:
        return float("nan")
    edges = np.unique(np.quantile(first, np.linspace(0, 1, num_bins + 1)[1:-1]))
    shares = [_shares(values, edges) for values in (first, second)]
    return float(np.sum((shares[1] - shares[0]) * np.log(shares[1] / shares[0])))


def _shares(values: NDArray[np.float64], edges: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the share of the values in each bin, none of them 0."""
    counts = np.bincount(np.searchsorted(edges, values, side="right"), minlength=len(edges) + 1).astype(np.float64)
    counts = np.maximum(counts, _AT_LEAST)
    return counts / counts.sum()
