"""A curve and its intervals as a record: what is written, printed and drawn."""

from dataclasses import dataclass

import numpy as np

from system.files.json_out import Ends, Measured
from system.metrics.bootstrap import PatientCounts, intervals
from system.metrics.config import FrocConfig
from system.metrics.froc import Curve, mean_sensitivity, sensitivity_at


@dataclass(frozen=True, slots=True)
class FrocSummary:
    """Sensitivities with their 95 % intervals; NaN without a lesion. Keys are false positives per image, e.g. "0.1"."""

    sensitivity: dict[str, Measured]  # 0 to 1
    sensitivity_interval: dict[str, Ends]
    mean: Measured  # over the operating points, 0 to 1
    interval: Ends  # of the mean
    num_resamples: int  # those that hold a lesion
    curve_ends_fppi: float  # the most false positives per image: those of all candidates
    ends_before: tuple[str, ...]  # operating points that the curve never reaches: their value is that of its end


@dataclass(frozen=True, slots=True)
class CurvePoints:
    """Points of a FROC curve, by falling threshold."""

    threshold: list[float]  # 0 to 1
    fppi: list[float]  # false positives per image
    sensitivity: list[Measured]  # 0 to 1


def summarise(curve: Curve, counts: PatientCounts, *, config: FrocConfig) -> FrocSummary:
    """Return a curve's sensitivities at the configured operating points, with intervals over resampled patients."""
    each, whole = intervals(counts, config=config, rng=np.random.default_rng(config.seed))
    keys = [f"{x:g}" for x in config.fppi]
    return FrocSummary(
        sensitivity={key: sensitivity_at(curve, fppi=x) for key, x in zip(keys, config.fppi, strict=True)},
        sensitivity_interval={key: interval.pair() for key, interval in zip(keys, each, strict=True)},
        mean=mean_sensitivity(curve, fppi=config.fppi),
        interval=whole.pair(),
        num_resamples=whole.num_resamples,
        curve_ends_fppi=curve.end_fppi,
        ends_before=tuple(key for key, x in zip(keys, config.fppi, strict=True) if curve.end_fppi < x),
    )


def points(curve: Curve) -> CurvePoints:
    """Return the points worth drawing: where the sensitivity changes, and the last.

    Between them only false positives come in, so nothing is lost from the step.
    """
    changes = np.flatnonzero(np.diff(curve.sensitivity, prepend=0) != 0)
    kept = np.union1d(changes, [len(curve.fppi) - 1]) if len(curve.fppi) else changes
    return CurvePoints(*(column[kept].tolist() for column in (curve.threshold, curve.fppi, curve.sensitivity)))
