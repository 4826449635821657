"""Several systems on the same patients, side by side."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from system.errors import UserError
from system.metrics.bootstrap import (
    Interval,
    PatientCounts,
    draw_weights,
    intervals,
    paired_difference,
    percentile_interval,
    resampled_sensitivity,
)
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

    Raises ValueError when the baseline is not among them, UserError when patients or lesions differ.
    """
    if baseline not in systems:
        raise ValueError(
            f"no system is called {baseline!r}: found {', '.join(systems)}; name one of them as the baseline"
        )
    reference = systems[baseline]
    rows: list[SystemRow] = []
    for title, counts in systems.items():
        values, mean = _observed(counts, config=config)
        _, interval = intervals(counts, config=config, rng=np.random.default_rng(config.seed))
        against = paired(reference, counts, config=config)
        rows.append(SystemRow(title, values, mean, interval, against.difference, against.interval))
    return rows


def _observed(counts: PatientCounts, *, config: FrocConfig) -> tuple[dict[float, float], float]:
    """Return the sensitivities and their mean with every patient counted once."""
    values = resampled_sensitivity(counts, weights=np.ones((1, len(counts.patients))), fppi=config.fppi)[0]
    return dict(zip(config.fppi, values.tolist(), strict=True)), float(values.mean())


@dataclass(frozen=True, slots=True)
class SeedsRow:
    """One system trained with several seeds, measured on the same patients."""

    sensitivity: dict[float, float]  # false positives per image -> 0 to 1, mean over the seeds
    mean: float  # over the operating points and the seeds
    each: tuple[float, ...]  # the mean over the operating points, seed by seed
    interval: Interval  # of the mean: patients are resampled, the seeds are not


def over_seeds(seeds: Sequence[PatientCounts], *, config: FrocConfig) -> SeedsRow:
    """Return the measures of all seeds together. seeds: one count per seed, of the same patients."""
    observed = [_observed(counts, config=config) for counts in seeds]
    values = {fppi: float(np.mean([sensitivity[fppi] for sensitivity, _ in observed])) for fppi in config.fppi}
    each = tuple(mean for _, mean in observed)
    return SeedsRow(values, float(np.mean(each)), each, percentile_interval(_drawn(seeds, config=config)))


def gain_over_seeds(
    first: Sequence[PatientCounts], second: Sequence[PatientCounts], *, config: FrocConfig
) -> tuple[float, Interval]:
    """Return second minus first in mean sensitivity, and its interval, both on the same resamples of the same patients.

    first, second: one count per seed
    """
    gain = over_seeds(second, config=config).mean - over_seeds(first, config=config).mean
    return gain, percentile_interval(_drawn(second, config=config) - _drawn(first, config=config))


def _drawn(seeds: Sequence[PatientCounts], *, config: FrocConfig) -> NDArray[np.float64]:
    """Return the mean sensitivity of each resample, averaged over the seeds: [R]."""
    if len({(counts.patients, counts.lesions.tobytes()) for counts in seeds}) != 1:
        raise UserError(
            "seeds are averaged over the same patients and lesions only: evaluate all of them on one split and rule set"
        )
    weights = draw_weights(
        len(seeds[0].patients), num_resamples=config.bootstrap, rng=np.random.default_rng(config.seed)
    )
    drawn = [resampled_sensitivity(counts, weights=weights, fppi=config.fppi).mean(axis=1) for counts in seeds]
    return np.mean(drawn, axis=0)


@dataclass(frozen=True, slots=True)
class Paired:
    """The difference of two systems on the same patients."""

    difference: float  # second minus first in mean sensitivity, -1 to 1; NaN without a lesion
    first: float  # mean sensitivity of each, 0 to 1
    second: float
    interval: Interval  # of the difference, both on the same resamples of the patients


def paired(first: PatientCounts, second: PatientCounts, *, config: FrocConfig, confidence: float = 0.95) -> Paired:
    """Return by how much the second system is better than the first.

    confidence: of the interval, 0 to 1
    Raises UserError when patients or lesions differ.
    """
    rng = np.random.default_rng(config.seed)
    interval = paired_difference(first, second, config=config, rng=rng, confidence=confidence)
    before, after = (_observed(counts, config=config)[1] for counts in (first, second))
    return Paired(after - before, before, after, interval)
