"""Measure how good the report models are (Tang et al. 2021, table 2), and how many labels pass each p0."""

from dataclasses import dataclass

import numpy as np
import pyarrow as pa
from sklearn.metrics import accuracy_score, f1_score, roc_auc_score

from system.files.json_out import Measured
from system.records import p0_text

NUM_BINS = 10  # of the reliability curve
P0_STEPS = (0.75, 0.85, 0.95)  # the schedule of Tang et al. 2021, section 4.2


@dataclass(frozen=True, slots=True)
class Tenth:
    """The breasts whose probability lies in one tenth of 0 to 1."""

    count: int
    p_mass: float  # mean probability, 0 to 1
    share: float  # of these breasts that have a mass, 0 to 1


@dataclass(frozen=True, slots=True)
class LabelMeasures:
    """How well probabilities of a mass fit the truth. Mappings go from p0 as text, e.g. "0.95", to a share, 0 to 1."""

    num_breasts: int
    num_masses: int
    average_f1: float  # of both classes at 0.5, unweighted
    weighted_f1: float  # of both classes at 0.5, by their numbers
    accuracy: float  # at 0.5
    auroc: Measured  # NaN where only one class is there
    brier: float  # mean squared error of the probability
    ece: float  # expected calibration error
    reliability: tuple[Tenth, ...]  # the tenths that hold a breast, rising
    coverage: dict[str, float]  # breasts whose probability is beyond p0 either way
    coverage_mass: dict[str, float]  # breasts above p0
    precision: dict[str, float]  # of those beyond p0 either way that are right; left out where there are none


@dataclass(frozen=True, slots=True)
class SideMeasures:
    """How well the reports of one side are read, on the folds held out."""

    models: LabelMeasures  # the report models, calibrated
    uncalibrated: LabelMeasures  # the same before calibration
    rules: LabelMeasures  # the keyword rules; a report in which they find nothing counts as no mass
    num_silent: int  # reports in which the rules find nothing
    by_language: dict[str, LabelMeasures]  # the report models


def measure_side(answers: pa.Table) -> SideMeasures:
    """Return the measures of one side.

    answers: columns
        truth: 0 or 1
        p_mass: of the report models, 0 to 1
        p_raw: the same before calibration
        p_rules: of the keyword rules; NaN where they find nothing, which counts as no mass
        language: of the report
    """
    truth, p_mass, p_raw, p_rules = (answers[name].to_numpy() for name in ("truth", "p_mass", "p_raw", "p_rules"))
    languages = np.asarray(answers["language"])
    return SideMeasures(
        models=measure(truth, p_mass),
        uncalibrated=measure(truth, p_raw),
        rules=measure(truth, np.nan_to_num(p_rules, nan=0.0)),
        num_silent=int(np.isnan(p_rules).sum()),
        by_language={
            name: measure(truth[languages == name], p_mass[languages == name]) for name in sorted(set(languages))
        },
    )


def measure(truth: np.ndarray, p_mass: np.ndarray) -> LabelMeasures:
    """Return how well probabilities fit the truth.

    truth: [N] 0 or 1
    p_mass: [N] float, 0 to 1, out of fold
    """
    positive = (p_mass > 0.5).astype(np.int64)
    one_class = len(np.unique(truth)) < 2
    return LabelMeasures(
        num_breasts=len(truth),
        num_masses=int(truth.sum()),
        average_f1=float(f1_score(truth, positive, average="macro")),
        weighted_f1=float(f1_score(truth, positive, average="weighted")),
        accuracy=float(accuracy_score(truth, positive)),
        auroc=float("nan") if one_class else float(roc_auc_score(truth, p_mass)),
        brier=float(np.mean((p_mass - truth) ** 2)),
        ece=calibration_error(truth, p_mass),
        reliability=reliability(truth, p_mass),
        coverage={p0_text(p0): float(_decided(p_mass, p0=p0).mean()) for p0 in P0_STEPS},
        coverage_mass={p0_text(p0): float((p_mass > p0).mean()) for p0 in P0_STEPS},
        precision=_precision(truth, p_mass),
    )


def reliability(truth: np.ndarray, p_mass: np.ndarray) -> tuple[Tenth, ...]:
    """Return the tenths of the probabilities that hold a breast, rising.

    truth: [N] 0 or 1
    p_mass: [N] float, 0 to 1
    """
    tenth = np.minimum((p_mass * NUM_BINS).astype(int), NUM_BINS - 1)
    return tuple(
        Tenth(int(members.sum()), float(p_mass[members].mean()), float(truth[members].mean()))
        for members in (tenth == number for number in range(NUM_BINS))
        if members.any()
    )


def calibration_error(truth: np.ndarray, p_mass: np.ndarray) -> float:
    """Return the expected calibration error (Naeini et al. 2015).

    It is the mean over the tenths of |probability - share|, weighted by the number of breasts.
    """
    bins = reliability(truth, p_mass)
    return sum(one.count * abs(one.p_mass - one.share) for one in bins) / len(truth)


def _decided(p_mass: np.ndarray, *, p0: float) -> np.ndarray:
    return (p_mass > p0) | (p_mass < 1 - p0)


def _precision(truth: np.ndarray, p_mass: np.ndarray) -> dict[str, float]:
    decided = {p0: _decided(p_mass, p0=p0) for p0 in P0_STEPS}
    right = (p_mass > 0.5) == truth.astype(bool)
    return {p0_text(p0): float(right[members].mean()) for p0, members in decided.items() if members.any()}
