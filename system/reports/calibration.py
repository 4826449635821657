"""Make a probability mean what it says: the miner takes p0 = 0.95 literally."""

from typing import Any

import numpy as np
from scipy.optimize import minimize_scalar
from scipy.special import expit

_LOG_TEMPERATURE = (-3.0, 3.0)  # temperatures of 0.05 to 20


def fit_temperature(margins: np.ndarray, truth: np.ndarray) -> float:
    """Return the temperature T that makes sigmoid(margin / T) most likely (Guo et al. 2017), from out-of-fold margins only.

    margins: [N] float, logit of "mass" minus logit of "none";  truth: [N] 0 or 1
    """

    def mean_surprise(log_temperature: float) -> float:
        scaled = margins / np.exp(log_temperature)
        return float(np.mean(np.logaddexp(0, scaled) - truth * scaled))

    found: Any = minimize_scalar(mean_surprise, bounds=_LOG_TEMPERATURE, method="bounded")
    return float(np.exp(found.x))


def probability(margins: np.ndarray, temperature: float) -> np.ndarray:
    """Return sigmoid(margin / temperature), float32, 0 to 1, of the margins' shape."""
    return expit(margins.astype(np.float64) / temperature).astype(np.float32)
