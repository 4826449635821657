"""Choose on validation images the probability from which a map counts as a mask.

Networks trained with a soft focal loss at alpha = 0.25 are under-confident: cut at 0.5, nearly all their masks would be
empty, and no image would be left on which report and map agree on a mass.
"""

import logging
import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from system.evaluation.threshold_grid import ThresholdGrid
from system.metrics.matching import Outcome, match

log = logging.getLogger(__name__)

GRID = (
    *(0.02, 0.05, 0.08, 0.1, 0.12, 0.15, 0.18, 0.2, 0.25, 0.3),
    *(0.35, 0.4, 0.45, 0.5, 0.55, 0.6, 0.65, 0.7, 0.8, 0.9),
)
MIN_IOU = 0.2  # a hit is above it, strictly (docs/method.md, Evaluation)


@dataclass(frozen=True, slots=True)
class ThresholdChoice:
    """A threshold, and how well lesions are found with it; the measures are NaN without a lesion."""

    threshold: float  # probability, 0 to 1; a mask is map >= threshold
    precision: float  # share of components that hit a lesion, 0 to 1
    recall: float  # share of lesions hit, 0 to 1
    f1: float  # harmonic mean of the two
    num_lesions: int
    reason: str  # in words, for the log and the run's page


def mask_grid(*, min_px: int, grid: Sequence[float] = GRID) -> ThresholdGrid:
    """Return an empty grid, to which the validation images are added one by one; every component is a lesion.

    min_px: smaller components of a map are no candidates
    """
    return ThresholdGrid(grid, min_lesion_px=1, min_candidate_px=min_px)


def choose_mask_threshold(found: ThresholdGrid, *, default: float = 0.5) -> ThresholdChoice:
    """Return the threshold of the grid with the best lesion F1, of equals the highest.

    Where none finds a lesion, `default` is returned.

    found: of the validation images
    """
    if found.num_lesions == 0:
        reason = f"no lesion in {found.num_images} validation images: default {default} taken"
        return ThresholdChoice(default, math.nan, math.nan, math.nan, 0, reason)
    choices = [_score(found, threshold=threshold) for threshold in found.thresholds]
    best = max(choices, key=lambda choice: (choice.f1, choice.threshold))
    if best.f1 == 0:
        span = f"from {found.thresholds[0]} to {found.thresholds[-1]}"
        reason = f"no threshold {span} finds one of {found.num_lesions} lesions: default {default} taken"
        best = ThresholdChoice(default, 0.0, 0.0, 0.0, found.num_lesions, reason)
    return best


def _score(found: ThresholdGrid, *, threshold: float) -> ThresholdChoice:
    """Return how well lesions are found with one threshold; further candidates on a found lesion count neither way."""
    outcome = match(found.detections(threshold), iou=MIN_IOU).outcome
    hits = int(np.count_nonzero(outcome == Outcome.TRUE_POSITIVE))
    false = int(np.count_nonzero(outcome == Outcome.FALSE_POSITIVE))
    num_lesions = found.num_lesions
    precision = hits / (hits + false) if hits else 0.0
    f1 = 2 * hits / (hits + false + num_lesions)
    counts = f"{hits} of {num_lesions} lesions found, {false} false, in {found.num_images} validation images"
    reason = f"best lesion F1 {f1:.3f}: {counts}"
    return ThresholdChoice(threshold, precision, hits / num_lesions, f1, num_lesions, reason)
