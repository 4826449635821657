"""Say how good the report models are: seed 000's table 2, and how much of the archive their answers open at each p0."""

from typing import Any

import numpy as np
from sklearn.metrics import accuracy_score, f1_score, roc_auc_score

P0_STEPS = (0.75, 0.85, 0.95)  # seed 000's schedule


def measure(truth: np.ndarray, p_mass: np.ndarray) -> dict[str, Any]:
    """Return one side's measures.

    truth: [N] 0 or 1;  p_mass: [N] float, 0 to 1, out of fold
    `coverage` is the share of breasts whose answer is beyond p0 either way; `precision` the share of those that is right,
    left out where there are none.
    """
    said = (p_mass > 0.5).astype(np.int64)
    one_class = len(np.unique(truth)) < 2
    return {
        "num_breasts": len(truth),
        "num_masses": int(truth.sum()),
        "average_f1": float(f1_score(truth, said, average="macro")),
        "weighted_f1": float(f1_score(truth, said, average="weighted")),
        "accuracy": float(accuracy_score(truth, said)),
        "auroc": float("nan") if one_class else float(roc_auc_score(truth, p_mass)),
        "brier": float(np.mean((p_mass - truth) ** 2)),
        "coverage": {f"{p0:.2f}": float(_decided(p_mass, p0=p0).mean()) for p0 in P0_STEPS},
        "coverage_mass": {f"{p0:.2f}": float((p_mass > p0).mean()) for p0 in P0_STEPS},
        "precision": _precision(truth, p_mass),
    }


def _decided(p_mass: np.ndarray, *, p0: float) -> np.ndarray:
    return (p_mass > p0) | (p_mass < 1 - p0)


def _precision(truth: np.ndarray, p_mass: np.ndarray) -> dict[str, float]:
    decided = {p0: _decided(p_mass, p0=p0) for p0 in P0_STEPS}
    right = (p_mass > 0.5) == truth.astype(bool)
    return {f"{p0:.2f}": float(right[those].mean()) for p0, those in decided.items() if those.any()}
