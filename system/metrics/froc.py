"""The free-response operating characteristic: lesions found against false positives per image."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from system.errors import UserError
from system.metrics.config import FrocConfig
from system.metrics.matching import Detections, Match, Outcome


@dataclass(frozen=True, slots=True)
class Curve:
    """Points of the curve. The point (0, 0), no candidate at all, is implied and not stored."""

    threshold: NDArray[np.float64]  # [T] falling
    fppi: NDArray[np.float64]  # [T] false positives per image
    sensitivity: NDArray[np.float64]  # [T] 0 to 1; NaN where there is no lesion
    num_images: int
    num_lesions: int

    @property
    def end_fppi(self) -> float:
        """The most false positives per image: those of all candidates."""
        return float(self.fppi.max(initial=0.0))


def froc_curve(detections: Detections, matched: Match, *, config: FrocConfig) -> Curve:
    """Return one point of the curve per distinct score: candidates of equal score come in together."""
    threshold, group = _falling_groups(detections.score)
    found = np.bincount(group[matched.outcome == Outcome.TRUE_POSITIVE], minlength=len(threshold))
    false = np.bincount(group[counts_as_false(matched.outcome, config=config)], minlength=len(threshold))
    return curve_of_counts(
        threshold,
        found=np.cumsum(found),
        false=np.cumsum(false),
        num_images=detections.num_images,
        num_lesions=len(detections.lesion_image),
    )


def curve_of_counts(
    threshold: NDArray[np.float64],
    *,
    found: NDArray[np.int64],
    false: NDArray[np.int64],
    num_images: int,
    num_lesions: int,
) -> Curve:
    """Return the curve of counts at each threshold. Raises UserError without an image.

    threshold: [T]
    found, false: [T] lesions found and false positives made at or above the threshold
    """
    if num_images == 0:
        raise UserError(
            "FROC needs at least one image: found 0; look at the split and at the predictions' error column"
        )
    sensitivity = found / num_lesions if num_lesions else np.full(len(threshold), np.nan)
    return Curve(threshold, false / num_images, sensitivity, num_images=num_images, num_lesions=num_lesions)


def counts_as_false(outcome: NDArray[np.uint8], *, config: FrocConfig) -> NDArray[np.bool_]:
    """Return which candidates are false positives under the rule for duplicates: [N].

    outcome: [N] Outcome
    """
    false = outcome == Outcome.FALSE_POSITIVE
    return false | (outcome == Outcome.DUPLICATE) if config.duplicates == "fp" else false


def sensitivity_at(curve: Curve, *, fppi: float) -> float:
    """Return the best sensitivity with at most `fppi` false positives per image: a step, never interpolated.

    NaN without lesions. The quotient of two counts is the double nearest to it, as is a literal like 0.1, so the
    comparison needs no tolerance.
    """
    if curve.num_lesions == 0:
        return float("nan")
    return float(curve.sensitivity[curve.fppi <= fppi].max(initial=0.0))


def mean_sensitivity(curve: Curve, *, fppi: Sequence[float]) -> float:
    """Return the mean over the operating points, the average sensitivity of Tang et al. 2021, section 4.4."""
    return float(np.mean([sensitivity_at(curve, fppi=x) for x in fppi]))


def _falling_groups(score: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Return the distinct scores, falling, and each candidate's place among them."""
    rising, place = np.unique(score, return_inverse=True)
    return rising[::-1], len(rising) - 1 - place
