"""A FROC curve with its 95 % interval, as it is drawn."""

from collections.abc import Sequence

import numpy as np

from system.figures.rows import FrocSeries
from system.metrics import FrocConfig, PatientCounts
from system.metrics.bootstrap import draw_weights, percentile_interval, resampled_sensitivity

_NUM_POINTS = 116
BEYOND = 1.15  # as far as curves are drawn, times the last operating point


def with_band(
    title: str, fppi: Sequence[float], sensitivity: Sequence[float], counts: PatientCounts, *, config: FrocConfig
) -> FrocSeries:
    """Return a curve, and its interval on a grid as far as the curve goes.

    fppi, sensitivity: its points;  counts: per patient, of the same evaluation
    """
    rng = np.random.default_rng(config.seed)
    weights = draw_weights(len(counts.patients), num_resamples=config.bootstrap, rng=rng)
    grid = np.linspace(0, min(BEYOND * max(config.fppi), max(fppi, default=0.0)), _NUM_POINTS).tolist()
    drawn = resampled_sensitivity(counts, weights=weights, fppi=grid)
    band = [(x, *percentile_interval(column).pair()) for x, column in zip(grid, drawn.T, strict=True)]
    return FrocSeries(title, fppi, sensitivity, band=band)


def mean_curve(title: str, seeds: Sequence[PatientCounts], *, config: FrocConfig) -> FrocSeries:
    """Return the mean curve of several seeds on a fine grid of false positives per image."""
    grid = np.linspace(0, BEYOND * max(config.fppi), _NUM_POINTS).tolist()
    once = np.ones((1, len(seeds[0].patients)))
    mean = np.mean([resampled_sensitivity(counts, weights=once, fppi=grid)[0] for counts in seeds], axis=0)
    return FrocSeries(title, grid, mean.tolist())
