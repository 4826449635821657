"""Several systems on the same patients, side by side."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from system.metrics.bootstrap import Interval, PatientCounts, intervals, paired_difference, resampled_sensitivity
from system.metrics.config import FrocConfig


@dataclass(frozen=True, slots=True)
class SystemRow:
    """One line of the comparison."""

    title: str
    sensitivity: dict[float, float]  # false positives per image -> 0 to 1
    mean: float  # over the operating points
    interval: Interval  # of the mean
    difference: float  # of the mean from the baseline's, paired by patient; 0 for the baseline itself
    difference_interval: Interval


def compare_systems(systems: Mapping[str, PatientCounts], *, baseline: str, config: FrocConfig) -> list[SystemRow]:
    """Return one row per system, in the order given, each compared with `baseline` on the same resamples.

    Raises ValueError when the baseline is not among them or when patients or lesions differ.
    """
    if baseline not in systems:
        raise ValueError(f"no system is called {baseline!r}: found {', '.join(systems)}; name one of them as the baseline")
    reference = systems[baseline]
    rows = []
    for title, counts in systems.items():
        values, mean = _observed(counts, config=config)
        _, interval = intervals(counts, config=config, rng=np.random.default_rng(config.seed))
        difference = paired_difference(reference, counts, config=config, rng=np.random.default_rng(config.seed))
        rows.append(SystemRow(title, values, mean, interval, mean - _observed(reference, config=config)[1], difference))
    return rows


def _observed(counts: PatientCounts, *, config: FrocConfig) -> tuple[dict[float, float], float]:
    """Return the sensitivities and their mean with every patient counted once."""
    values = resampled_sensitivity(counts, weights=np.ones((1, len(counts.patients))), fppi=config.fppi)[0]
    return dict(zip(config.fppi, values.tolist(), strict=True)), float(values.mean())
