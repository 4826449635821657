"""Calibrate the report models: the miner takes p0 = 0.95 literally (docs/method.md, Report models)."""

from typing import Any

import numpy as np
from scipy.optimize import minimize_scalar
from scipy.special import expit

_LOG_TEMPERATURE = (-3.0, 3.0)  # temperatures of 0.05 to 20


def fit_temperature(margins: np.ndarray, truth: np.ndarray) -> float:
    """Return the temperature T under which sigmoid(margin / T) has the highest likelihood (Guo et al. 2017).

    margins: [N] float, out of fold only: logit of "mass" minus logit of "none"
    truth: [N] 0 or 1

    The truth is softened as by Platt (1999, section 2.2), by one breast of each class, so that a few answers without
    a mistake do not give certainty.
    """
    masses = int(np.sum(truth))
    soft = np.where(np.asarray(truth, bool), (masses + 1) / (masses + 2), 1 / (len(truth) - masses + 2))

    def mean_cross_entropy(log_temperature: float) -> float:
        scaled = margins / np.exp(log_temperature)
        return float(np.mean(np.logaddexp(0, scaled) - soft * scaled))

    minimum: Any = minimize_scalar(mean_cross_entropy, bounds=_LOG_TEMPERATURE, method="bounded")
    return float(np.exp(minimum.x))


def fit_temperatures(
    margins: np.ndarray, truth: np.ndarray, folds: np.ndarray, *, num_folds: int
) -> tuple[list[float], list[float]]:
    """Return two temperatures for each of one side's models.

    margins: [N] float, each from the model that had not seen the report
    truth: [N] 0 or 1
    folds: [N], the fold of that model

    The first is for reports that come later: it is fitted on all reports that the model was held out from. The second
    is for those very reports: it is fitted on the other models' held-out reports, so that no breast's own truth
    influences its probability.
    """
    own = [fit_temperature(margins[folds == fold], truth[folds == fold]) for fold in range(num_folds)]
    others = [fit_temperature(margins[folds != fold], truth[folds != fold]) for fold in range(num_folds)]
    return own, others


def probability(margins: np.ndarray, temperature: float | np.ndarray) -> np.ndarray:
    """Return sigmoid(margin / temperature), float32, 0 to 1, of the margins' shape; one temperature or one each."""
    return expit(margins.astype(np.float64) / temperature).astype(np.float32)
