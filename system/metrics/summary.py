"""A curve and its intervals as plain values: what is written, printed and drawn."""

from typing import Any

import numpy as np

from system.metrics.bootstrap import PatientCounts, intervals
from system.metrics.config import FrocConfig
from system.metrics.froc import Curve, mean_sensitivity, sensitivity_at


def summarise(curve: Curve, counts: PatientCounts, *, config: FrocConfig) -> dict[str, Any]:
    """Return the sensitivities with their intervals, keyed by false positives per image as text ("0.1").

    `ends_before` lists the operating points that the curve never reaches: their value is that of its end.
    """
    each, whole = intervals(counts, config=config, rng=np.random.default_rng(config.seed))
    keys = [f"{x:g}" for x in config.fppi]
    return {
        "sensitivity": {key: sensitivity_at(curve, fppi=x) for key, x in zip(keys, config.fppi, strict=True)},
        "sensitivity_interval": {key: list(interval.pair()) for key, interval in zip(keys, each, strict=True)},
        "mean": mean_sensitivity(curve, fppi=config.fppi),
        "interval": list(whole.pair()),
        "num_resamples": whole.num_resamples,
        "curve_ends_fppi": curve.end_fppi,
        "ends_before": [key for key, x in zip(keys, config.fppi, strict=True) if curve.end_fppi < x],
    }


def points(curve: Curve) -> dict[str, list[float]]:
    """Return the operating points worth drawing: where the sensitivity changes, and the last.

    Between them only false positives come in, so nothing is lost from the step.
    """
    changes = np.flatnonzero(np.diff(curve.sensitivity, prepend=0) != 0)
    kept = np.union1d(changes, [len(curve.fppi) - 1]) if len(curve.fppi) else changes
    columns = {"threshold": curve.threshold, "fppi": curve.fppi, "sensitivity": curve.sensitivity}
    return {name: column[kept].tolist() for name, column in columns.items()}
