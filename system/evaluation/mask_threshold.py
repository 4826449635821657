"""Choose on validation images the probability from which a map counts as a mask.

Networks trained with a soft focal loss at alpha = 0.25 are under-confident: cut at 0.5, nearly all their masks would be
empty, and no image would be left on which report and map agree on a mass.
"""

import logging
import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from system.maps import Components, components, peaks
from system.metrics.matching import Outcome, gather, match, overlaps

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


def choose_mask_threshold(
    maps: Sequence[NDArray[np.floating]],
    masks: Sequence[NDArray[np.bool_]],
    *,
    grid: Sequence[float] = GRID,
    min_px: int = 4,
    default: float = 0.5,
) -> ThresholdChoice:
    """Return the threshold of the grid with the best lesion F1, of equals the highest.

    Where none finds a lesion, `default` is returned.

    maps: n of [h, w], 0 to 1
    masks: n of [h, w], the lesions at the same size; every component is a lesion
    min_px: smaller components of a map are no candidates
    """
    if len(maps) != len(masks) or not grid:
        raise ValueError(
            "need one mask per map and a grid to choose from, "
            f"got {len(maps)} maps, {len(masks)} masks, {len(grid)} values"
        )
    lesions = [components(mask, min_px=1) for mask in masks]
    num_lesions = sum(len(found.area_px) for found in lesions)
    if num_lesions == 0:
        reason = f"no lesion in {len(masks)} validation images: default {default} taken"
        return ThresholdChoice(default, math.nan, math.nan, math.nan, 0, reason)
    choices = [_score(maps, lesions, threshold=threshold, min_px=min_px) for threshold in sorted(grid)]
    best = max(choices, key=lambda choice: (choice.f1, choice.threshold))
    if best.f1 == 0:
        span = f"from {min(grid)} to {max(grid)}"
        reason = f"no threshold {span} finds one of {num_lesions} lesions: default {default} taken"
        best = ThresholdChoice(default, 0.0, 0.0, 0.0, num_lesions, reason)
    return best


def _score(
    maps: Sequence[NDArray[np.floating]], lesions: Sequence[Components], *, threshold: float, min_px: int
) -> ThresholdChoice:
    """Return how well lesions are found with one threshold; further candidates on a found lesion count neither way."""
    images: list[tuple[NDArray[np.floating], NDArray[np.floating]]] = []
    for probability, truth in zip(maps, lesions, strict=True):
        found = components(probability >= threshold, min_px=min_px)
        images.append((peaks(probability, found), overlaps(found, truth)))
    outcome = match(gather(images), iou=MIN_IOU).outcome
    hits = int(np.count_nonzero(outcome == Outcome.TRUE_POSITIVE))
    false = int(np.count_nonzero(outcome == Outcome.FALSE_POSITIVE))
    num_lesions = sum(len(truth.area_px) for truth in lesions)
    precision = hits / (hits + false) if hits else 0.0
    f1 = 2 * hits / (hits + false + num_lesions)
    counts = f"{hits} of {num_lesions} lesions found, {false} false, in {len(maps)} validation images"
    reason = f"best lesion F1 {f1:.3f}: {counts}"
    return ThresholdChoice(threshold, precision, hits / num_lesions, f1, num_lesions, reason)
