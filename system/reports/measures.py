"""Say how good the report models are: seed 000's table 2, and how much of the archive their answers open at each p0."""

from typing import Any

import numpy as np
import pyarrow as pa
from sklearn.metrics import accuracy_score, f1_score, roc_auc_score

NUM_BINS = 10  # of the reliability curve
P0_STEPS = (0.75, 0.85, 0.95)  # seed 000's schedule


def table_2(answers: pa.Table) -> dict[str, Any]:
    """Return one side's measures as `measure` does, and beside them those before calibration, of the rules, and by language.

    answers: truth (0 or 1), p_mass, p_raw, p_rules (NaN where the report is silent: no mass), language
    """
    truth, p_mass, p_raw, p_rules = (answers[name].to_numpy() for name in ("truth", "p_mass", "p_raw", "p_rules"))
    languages = np.asarray(answers["language"])
    uncalibrated = measure(truth, p_raw)
    return measure(truth, p_mass) | {
        "uncalibrated": {name: uncalibrated[name] for name in ("ece", "brier", "reliability")},
        "rules": measure(truth, np.nan_to_num(p_rules, nan=0.0)) | {"num_silent": int(np.isnan(p_rules).sum())},
        "by_language": {name: measure(truth[languages == name], p_mass[languages == name]) for name in sorted(set(languages))},
    }


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
        "ece": calibration_error(truth, p_mass),
        "reliability": reliability(truth, p_mass),
        "coverage": {f"{p0:.2f}": float(_decided(p_mass, p0=p0).mean()) for p0 in P0_STEPS},
        "coverage_mass": {f"{p0:.2f}": float((p_mass > p0).mean()) for p0 in P0_STEPS},
        "precision": _precision(truth, p_mass),
    }


def reliability(truth: np.ndarray, p_mass: np.ndarray) -> list[dict[str, float]]:
    """Return for each filled tenth of the probabilities: how many breasts, their mean probability, and the share that has a mass."""
    tenth = np.minimum((p_mass * NUM_BINS).astype(int), NUM_BINS - 1)
    return [
        {"count": int(those.sum()), "p_mass": float(p_mass[those].mean()), "share": float(truth[those].mean())}
        for those in (tenth == number for number in range(NUM_BINS))
        if those.any()
    ]


def calibration_error(truth: np.ndarray, p_mass: np.ndarray) -> float:
    """Return the expected calibration error (Naeini et al. 2015) over tenths: mean of |probability - share|, weighted by breasts."""
    bins = reliability(truth, p_mass)
    return sum(one["count"] * abs(one["p_mass"] - one["share"]) for one in bins) / len(truth)


def _decided(p_mass: np.ndarray, *, p0: float) -> np.ndarray:
    return (p_mass > p0) | (p_mass < 1 - p0)


def _precision(truth: np.ndarray, p_mass: np.ndarray) -> dict[str, float]:
    decided = {p0: _decided(p_mass, p0=p0) for p0 in P0_STEPS}
    right = (p_mass > 0.5) == truth.astype(bool)
    return {f"{p0:.2f}": float(right[those].mean()) for p0, those in decided.items() if those.any()}
