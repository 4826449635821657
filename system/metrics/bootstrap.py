"""95 % intervals by resampling patients.

A patient is drawn with all their images, so the dependence between images stays in. A resample is a weight per
patient (how often each was drawn). The curve of a resample is the weighted sum of the patients' counts, so no
candidate is matched or sorted twice.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import cast

import numpy as np
from numpy.typing import NDArray
from scipy import sparse  # pyright: ignore[reportMissingTypeStubs] - no stubs in the lock file

from system.errors import UserError
from system.metrics.config import FrocConfig
from system.metrics.froc import counts_as_false
from system.metrics.matching import Detections, Match, Outcome

_CELLS_AT_ONCE = 1 << 23  # operating points x resamples held in memory, 64 MB each as float64


@dataclass(frozen=True, slots=True)
class PatientCounts:
    """What each patient adds to the curve from one operating point to the next."""

    patients: tuple[str, ...]  # [P] sorted ids
    images: NDArray[np.int64]  # [P] evaluated images
    lesions: NDArray[np.int64]  # [P]
    # [T, P] lesions that come in with an operating point; negative where a map that is cut anew loses one.
    found: sparse.csr_array
    false: sparse.csr_array  # [T, P] false positives, likewise


@dataclass(frozen=True, slots=True)
class Interval:
    """A percentile interval; 95 % unless it was asked for another."""

    low: float  # NaN when no resample holds a lesion
    high: float
    num_resamples: int  # those that hold a lesion: without one there is no sensitivity

    def pair(self) -> tuple[float, float]:
        """The two ends."""
        return self.low, self.high


def count_by_patient(
    detections: Detections, matched: Match, *, image_patient: Sequence[str], config: FrocConfig
) -> PatientCounts:
    """Return the counts of a score sweep.

    Operating points are the distinct scores of true positives: between two of them only false positives come in, and
    the best sensitivity at a given FPPI is never there.

    image_patient: [num_images] the patient of each image
    """
    patients, patient_of_image = np.unique(np.asarray(image_patient, dtype=str), return_inverse=True)
    true = matched.outcome == Outcome.TRUE_POSITIVE
    false = counts_as_false(matched.outcome, config=config)
    points = np.unique(detections.score[true])[::-1]
    first_point_with = np.searchsorted(-points, -detections.score)  # scores fall, so their negatives rise
    false &= first_point_with < len(points)
    patient_of_candidate = patient_of_image[detections.candidate_image]
    shape = (len(points), len(patients))
    return PatientCounts(
        patients=tuple(patients.tolist()),
        images=np.bincount(patient_of_image, minlength=len(patients)),
        lesions=np.bincount(patient_of_image[detections.lesion_image], minlength=len(patients)),
        found=_tally(first_point_with[true], patient_of_candidate[true], shape=shape),
        false=_tally(first_point_with[false], patient_of_candidate[false], shape=shape),
    )


def draw_weights(num_patients: int, *, num_resamples: int, rng: np.random.Generator) -> NDArray[np.float64]:
    """Return how often each patient is drawn in each resample: [R, P], each row sums to P."""
    even = np.full(num_patients, 1 / num_patients)
    return rng.multinomial(num_patients, even, size=num_resamples).astype(np.float64)


def resampled_sensitivity(
    counts: PatientCounts, *, weights: NDArray[np.float64], fppi: Sequence[float]
) -> NDArray[np.float64]:
    """Return the sensitivity at each operating point under each resample: [R, len(fppi)], NaN without a lesion.

    weights: [R, P], how often each patient was drawn
    """
    num_points, _ = cast("tuple[int, int]", counts.found.shape)
    step = max(1, _CELLS_AT_ONCE // max(1, num_points))
    return np.concatenate(
        [_sensitivity(counts, weights=weights[at : at + step], fppi=fppi) for at in range(0, len(weights), step)]
    )


def intervals(
    counts: PatientCounts, *, config: FrocConfig, rng: np.random.Generator
) -> tuple[list[Interval], Interval]:
    """Return the interval of the sensitivity at each of config.fppi, and that of their mean."""
    weights = draw_weights(len(counts.patients), num_resamples=config.bootstrap, rng=rng)
    drawn = resampled_sensitivity(counts, weights=weights, fppi=config.fppi)
    return [percentile_interval(column) for column in drawn.T], percentile_interval(drawn.mean(axis=1))


def paired_difference(
    first: PatientCounts,
    second: PatientCounts,
    *,
    config: FrocConfig,
    rng: np.random.Generator,
    confidence: float = 0.95,
) -> Interval:
    """Return the interval of second minus first in mean sensitivity, both on the same resamples of the same patients.

    confidence: as of `percentile_interval`
    Raises UserError where patients or lesions differ.
    """
    if first.patients != second.patients or not np.array_equal(first.lesions, second.lesions):
        raise UserError(
            "a paired comparison needs the same patients and lesions on both sides: "
            f"found {len(first.patients)} patients with {first.lesions.sum()} lesions "
            f"and {len(second.patients)} with {second.lesions.sum()}; evaluate both on one split and rule set"
        )
    weights = draw_weights(len(first.patients), num_resamples=config.bootstrap, rng=rng)
    mean = [resampled_sensitivity(counts, weights=weights, fppi=config.fppi).mean(axis=1) for counts in (first, second)]
    return percentile_interval(mean[1] - mean[0], confidence=confidence)


def percentile_interval(drawn: NDArray[np.float64], *, confidence: float = 0.95) -> Interval:
    """Return the percentiles between which the resamples' values lie, those without a lesion left out.

    drawn: [R], NaN without a lesion
    confidence: share of the values between them, 0 to 1; 0.95 = the 2.5th and the 97.5th percentile
    """
    usable = drawn[~np.isnan(drawn)]
    if not len(usable):
        return Interval(float("nan"), float("nan"), 0)
    tail = 100 * (1 - confidence) / 2
    low, high = np.percentile(usable, [tail, 100 - tail])
    return Interval(float(low), float(high), len(usable))


def _sensitivity(counts: PatientCounts, *, weights: NDArray[np.float64], fppi: Sequence[float]) -> NDArray[np.float64]:
    """Return resampled_sensitivity for as many resamples as fit in memory."""
    found = np.cumsum(_weighted(counts.found, weights), axis=0)  # [T, R]
    per_image = np.cumsum(_weighted(counts.false, weights), axis=0) / (weights @ counts.images)
    best = [np.where(per_image <= x, found, 0.0).max(axis=0, initial=0.0) for x in fppi]
    lesions = weights @ counts.lesions
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.where(lesions > 0, np.stack(best) / lesions, np.nan).T


def _weighted(counts: sparse.csr_array, weights: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the counts at each operating point under each resample: [T, R]. counts: [T, P];  weights: [R, P]."""
    return cast("NDArray[np.float64]", counts @ weights.T)  # scipy gives its products no type


def _tally(point: NDArray[np.int64], patient: NDArray[np.int64], *, shape: tuple[int, int]) -> sparse.csr_array:
    """Count events by operating point and patient; an event named twice counts twice."""
    return sparse.csr_array((np.ones(len(point)), (point, patient)), shape=shape)
