"""Measures of whole images: how well a score separates those with a mass; CorLoc, and Dice of masks."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from sklearn.metrics import accuracy_score, f1_score, recall_score, roc_auc_score, roc_curve

from system.files.json_out import Ends, Measured
from system.metrics.bootstrap import Interval, draw_weights, percentile_interval
from system.metrics.matching import Detections

_NAN = float("nan")
SENSITIVITIES = (0.85, 0.90)  # where Bakalo et al. 2021 give the specificity

Bools = NDArray[np.bool_]
Floats = NDArray[np.float64]
Statistic = Callable[[Bools, Floats, Floats], float]
"""Of truth [N], score [N] and weight [N]."""


def auroc(truth: Bools, score: Floats, weight: Floats | None = None) -> float:
    """Return the area under the ROC curve: the share of pairs in the right order, ties half.

    NaN where only one class is there. Counted here and tested against scikit-learn, because an interval computes it a
    thousand times, and scikit-learn checks its arguments each time.

    truth: [N]
    score: [N], higher is more suspicious
    weight: [N], how often each image counts
    """
    if not _measurable(truth, score, weight):
        return _NAN
    counted = np.ones(len(truth)) if weight is None else weight
    _, place = np.unique(score, return_inverse=True)
    positive, negative = np.bincount(place, counted * truth), np.bincount(place, counted * ~truth)
    below = np.cumsum(negative) - negative
    return float(positive @ (below + negative / 2) / (positive.sum() * negative.sum()))


def partial_auc_ratio(truth: Bools, score: Floats, weight: Floats | None = None, *, low: float = 0.8) -> float:
    """Return the mean specificity over the sensitivities from `low` to 1 (Jiang et al. 1996; chance is (1 - low) / 2).

    It is the pAUCR of Bakalo et al. 2021: the area under the ROC curve there over the area that there could be. NaN
    where only one class is there.
    """
    if not _measurable(truth, score, weight):
        return _NAN
    # Seen from the other class the range lies at its low false positive rates, which scikit-learn integrates.
    width = 1 - low
    standardised = float(roc_auc_score(~truth, -score, max_fpr=width, sample_weight=weight))
    least = width**2 / 2
    return (least + (2 * standardised - 1) * (width - least)) / width


def specificity_at(truth: Bools, score: Floats, weight: Floats | None = None, *, sensitivity: float) -> float:
    """Return the best specificity with at least that sensitivity: a step, not interpolated.

    NaN where only one class is there.
    """
    if not _measurable(truth, score, weight):
        return _NAN
    false, true, _ = roc_curve(truth, score, sample_weight=weight, drop_intermediate=False)
    return float(1 - false[true >= sensitivity - 1e-12].min())


@dataclass(frozen=True, slots=True)
class ThresholdMeasures:
    """Measures of calling images positive from a threshold on, 0 to 1; NaN where one is not defined."""

    accuracy: Measured
    recall: Measured  # of the images with a mass
    f1: Measured  # of the images with a mass
    average_f1: Measured  # of both classes, unweighted
    weighted_f1: Measured  # of both classes, by their numbers


@dataclass(frozen=True, slots=True)
class ImageMeasures:
    """How well a score separates images with a mass from those without, 0 to 1; all NaN where there is no score."""

    auroc: Measured
    auroc_interval: Ends
    partial_auc_ratio: Measured
    specificity_at: dict[str, Measured]  # sensitivity as text, e.g. "0.85" -> specificity
    at_even_odds: ThresholdMeasures  # threshold 0.5


def at_threshold(truth: Bools, score: Floats, *, threshold: float) -> ThresholdMeasures:
    """Return accuracy, recall and F1 scores. truth: [N];  score: [N], 0 to 1."""
    if np.isnan(score).any():
        return ThresholdMeasures(_NAN, _NAN, _NAN, _NAN, _NAN)
    positive = score >= threshold
    return ThresholdMeasures(
        accuracy=float(accuracy_score(truth, positive)),
        recall=float(recall_score(truth, positive, zero_division=_NAN)),
        f1=float(f1_score(truth, positive, zero_division=_NAN)),
        average_f1=float(f1_score(truth, positive, average="macro", zero_division=_NAN)),
        weighted_f1=float(f1_score(truth, positive, average="weighted", zero_division=_NAN)),
    )


def dice(mask: Bools, truth: Bools) -> float:
    """Return twice the shared area over the sum of both, NaN where the truth is empty. mask, truth: [H, W]."""
    return float(2 * np.count_nonzero(mask & truth) / (mask.sum() + truth.sum())) if truth.any() else _NAN


def corloc(detections: Detections, *, score: float = 0.5, iou: float = 0.5) -> float:
    """Return the share of the images with a lesion in which one is located (Shin et al. 2019); NaN without a lesion.

    A lesion is located by a candidate of at least `score` that overlaps it by more than `iou`.
    """
    with_lesion = np.unique(detections.lesion_image)
    hits = (detections.pair_iou > iou) & (detections.score[detections.pair_candidate] >= score)
    located = np.unique(detections.candidate_image[detections.pair_candidate[hits]])
    return len(located) / len(with_lesion) if len(with_lesion) else _NAN


def resampled(
    statistic: Statistic,
    truth: Bools,
    score: Floats,
    *,
    patient: NDArray[np.str_],
    num_resamples: int,
    seed: int,
) -> Floats:
    """Return the statistic of each resample of the patients: [R], NaN where a resample cannot give one.

    The same patients and seed draw the same resamples, whatever the scores.

    patient: [N] the patient of each image
    """
    _, place = np.unique(patient, return_inverse=True)
    weights = draw_weights(int(place.max()) + 1, num_resamples=num_resamples, rng=np.random.default_rng(seed))
    return np.array([statistic(truth, score, drawn[place]) for drawn in weights])


def paired_difference_of(  # noqa: PLR0913 - two systems, what is measured, and how it is drawn
    statistic: Statistic,
    truth: Bools,
    first: Floats,
    second: Floats,
    *,
    patient: NDArray[np.str_],
    num_resamples: int = 1000,
    seed: int = 0,
) -> tuple[float, Interval]:
    """Return second minus first, and its 95 % interval over resamples of the same patients.

    first, second: [N] scores of two systems on the same images
    patient: [N] the patient of each image
    """
    if not len(truth) == len(first) == len(second) == len(patient):
        raise ValueError(
            f"a paired comparison needs the same images on both sides: {len(truth)} truths, {len(first)} and "
            f"{len(second)} scores"
        )
    drawn = [
        resampled(statistic, truth, score, patient=patient, num_resamples=num_resamples, seed=seed)
        for score in (first, second)
    ]
    everyone = np.ones(len(truth))
    return statistic(truth, second, everyone) - statistic(truth, first, everyone), percentile_interval(
        drawn[1] - drawn[0]
    )


def image_level(
    truth: Bools, score: Floats, *, patient: NDArray[np.str_], num_resamples: int, seed: int
) -> ImageMeasures:
    """Return the measures of one score, the area under the ROC curve with its interval over resampled patients.

    truth: [N]
    score: [N], 0 to 1; NaN anywhere: the system does not judge whole images, and all measures are NaN
    patient: [N] the patient of each image
    """
    drawn = resampled(auroc, truth, score, patient=patient, num_resamples=num_resamples, seed=seed)
    return ImageMeasures(
        auroc=auroc(truth, score),
        auroc_interval=percentile_interval(drawn).pair(),
        partial_auc_ratio=partial_auc_ratio(truth, score),
        specificity_at={f"{at:g}": specificity_at(truth, score, sensitivity=at) for at in SENSITIVITIES},
        at_even_odds=at_threshold(truth, score, threshold=0.5),
    )


def _measurable(truth: Bools, score: Floats, weight: Floats | None) -> bool:
    """Whether images with and without a mass count, and all have a score."""
    counted = truth if weight is None else truth[weight > 0]
    return bool(counted.any() and not counted.all()) and not np.isnan(score).any()
