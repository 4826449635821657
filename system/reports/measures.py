"""Measure how good the report models are (Tang et al. 2021, table 2), and how many labels pass each p0."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import get_args

import numpy as np
import pyarrow as pa
from sklearn.metrics import accuracy_score, f1_score, roc_auc_score

from system.files.json_out import Measured
from system.records import p0_text
from system.reports.rule_rates import LabelSource, choose

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

    models: LabelMeasures  # the report models, calibrated if that is asked for
    uncalibrated: LabelMeasures  # the same before calibration
    rules: LabelMeasures  # the keyword rules, each answer with the probability that it stands for
    mean: LabelMeasures  # the mean of models and rules
    num_silent: int  # reports in which the rules find nothing
    by_language: dict[str, LabelMeasures]  # the report models

    def of(self, labels: LabelSource) -> LabelMeasures:
        """Return the measures of the models, of the rules, or of the mean of both."""
        match labels:
            case "models":
                return self.models
            case "rules":
                return self.rules
            case "mean":
                return self.mean


def measure_side(answers: pa.Table) -> SideMeasures:
    """Return the measures of one side.

    answers: columns
        truth: 0 or 1
        p_models: of the report models, 0 to 1
        p_raw: the same before calibration
        rules: the answers of the keyword rules, NaN where they find nothing
        p_rules: the probability that the answer stands for, 0 to 1
        language: of the report
    """
    names = ("truth", "p_models", "p_raw", "rules", "p_rules")
    truth, p_models, p_raw, rules, p_rules = (answers[name].to_numpy() for name in names)
    languages = np.asarray(answers["language"])
    return SideMeasures(
        models=measure(truth, p_models),
        uncalibrated=measure(truth, p_raw),
        rules=measure(truth, p_rules),
        mean=measure(truth, choose("mean", models=p_models, rules=p_rules)),
        num_silent=int(np.isnan(rules).sum()),
        by_language={
            name: measure(truth[languages == name], p_models[languages == name]) for name in sorted(set(languages))
        },
    )


@dataclass(frozen=True, slots=True)
class SourceComparison:
    """The Brier scores of models, rules and their mean over the breasts of both sides, 0 (best) to 1."""

    labels: LabelSource  # which of them the loop gets
    num_breasts: int
    brier: dict[LabelSource, float]

    @property
    def best(self) -> LabelSource:
        """The source whose probabilities fit the truth best; the one in use where others are no better as printed."""
        return min(self.brier, key=lambda source: (round(self.brier[source], 4), source != self.labels))

    def line(self) -> str:
        """Return it for people."""
        scores = ", ".join(f"{source} {score:.4f}" for source, score in self.brier.items())
        better = f"reports.labels={self.best} would fit better" if self.best != self.labels else "no other fits better"
        return (
            f"The loop gets the labels of reports.labels={self.labels}. Brier score over {self.num_breasts} annotated "
            f"breasts, held out: {scores}; {better}"
        )


def compare_sources(sides: Mapping[str, SideMeasures], *, labels: LabelSource) -> SourceComparison:
    """Return how well models, rules and their mean fit the truth, by the Brier score over all sides.

    The miner takes a probability literally, against p0, so a label must be both in the right order and of the right
    size. F1 and accuracy at 0.5 see neither, AUROC only the order.
    """
    sources: tuple[LabelSource, ...] = get_args(LabelSource)
    num_breasts = sum(side.models.num_breasts for side in sides.values())
    brier: dict[LabelSource, float] = {
        source: sum(side.of(source).brier * side.models.num_breasts for side in sides.values()) / num_breasts
        for source in sources
    }
    return SourceComparison(labels, num_breasts, brier)


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
