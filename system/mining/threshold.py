"""Choose on validation images from which probability on a map counts as a mask.

Nets trained with a soft focal loss at alpha = 0.25 are under-confident: cut at 0.5 nearly all their masks are empty, and TP with them.
"""

import logging
import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

log = logging.getLogger(__name__)

GRID = (0.02, 0.05, 0.08, 0.1, 0.12, 0.15, 0.18, 0.2, 0.25, 0.3, 0.35, 0.4, 0.45, 0.5, 0.55, 0.6, 0.65, 0.7, 0.8, 0.9)
MIN_IOU = 0.2  # a hit is above it, strictly (METHODS 1.7)
_EIGHT_CONNECTED = np.ones((3, 3), dtype=int)


@dataclass(frozen=True, slots=True)
class ThresholdChoice:
    """The threshold taken, and how well lesions are found with it; precision and the rest are NaN without a lesion to find."""

    threshold: float  # probability, 0 to 1; a mask is map >= threshold
    precision: float  # share of components that hit a lesion, 0 to 1
    recall: float  # share of lesions hit, 0 to 1
    f1: float  # harmonic mean of the two
    num_lesions: int
    reason: str  # in words, for the log and the run's page


@dataclass(frozen=True, slots=True)
class _Count:
    hits: int
    false: int


def choose_mask_threshold(
    maps: Sequence[NDArray[np.floating]],
    masks: Sequence[NDArray[np.bool_]],
    *,
    grid: Sequence[float] = GRID,
    min_px: int = 4,
    default: float = 0.5,
) -> ThresholdChoice:
    """Return the threshold of the grid with the best lesion F1; of equals the highest; `default` where nothing can be told.

    maps: n of [h, w] float, 0 to 1;  masks: n of [h, w] bool, the lesions at the same size;  min_px: smaller components are no finding
    """
    if len(maps) != len(masks) or not grid:
        raise ValueError(f"need one mask per map and a grid to choose from, got {len(maps)} maps, {len(masks)} masks, grid of {len(grid)}")
    lesions = [_components(mask) for mask in masks]
    num_lesions = sum(number for _, number in lesions)
    if num_lesions == 0:
        nan = math.nan
        return ThresholdChoice(default, nan, nan, nan, 0, f"no lesion in {len(masks)} validation images: default {default} taken")
    choices = []
    for threshold in sorted(grid):
        counts = [_count(m, lesion, number, threshold=threshold, min_px=min_px) for m, (lesion, number) in zip(maps, lesions, strict=True)]
        choices.append(_score(threshold, counts, num_lesions))
    best = max(choices, key=lambda choice: (choice.f1, choice.threshold))
    if best.f1 == 0:
        reason = f"no threshold from {min(grid)} to {max(grid)} finds one of {num_lesions} lesions: default {default} taken"
        best = ThresholdChoice(default, 0.0, 0.0, 0.0, num_lesions, reason)
    log.info("mask threshold %.3g: %s", best.threshold, best.reason)
    return best


def _score(threshold: float, counts: list[_Count], num_lesions: int) -> ThresholdChoice:
    hits, false = sum(count.hits for count in counts), sum(count.false for count in counts)
    precision = hits / (hits + false) if hits else 0.0
    f1 = 2 * hits / (hits + false + num_lesions)
    reason = f"best lesion F1 {f1:.3f}: {hits} of {num_lesions} lesions found, {false} false, in {len(counts)} validation images"
    return ThresholdChoice(threshold, precision, hits / num_lesions, f1, num_lesions, reason)


def _count(probability: NDArray, lesions: NDArray, num_lesions: int, *, threshold: float, min_px: int) -> _Count:
    found = probability >= threshold
    if not found.any():
        return _Count(0, 0)
    components, number = _components(found)
    areas = np.bincount(components.ravel(), minlength=number + 1)
    kept = areas >= min_px
    kept[0] = False
    if num_lesions == 0:
        return _Count(0, int(kept.sum()))
    joint = components.ravel() * (num_lesions + 1) + lesions.ravel()
    shared = np.bincount(joint, minlength=(number + 1) * (num_lesions + 1)).reshape(number + 1, num_lesions + 1)
    iou = shared[1:, 1:] / (areas[1:, None] + np.bincount(lesions.ravel())[None, 1:] - shared[1:, 1:])
    candidates = np.flatnonzero(kept[1:] & (iou.max(axis=1) > MIN_IOU))
    hits = _matched(iou[candidates], [float(probability[components == index + 1].max()) for index in candidates])
    return _Count(hits, int(kept.sum()) - len(candidates))


def _components(mask: NDArray[np.bool_]) -> tuple[NDArray[np.int32], int]:
    """Return the number of each pixel's 8-connected component, 0 for none ([h, w]), and how many there are."""
    components = np.empty(mask.shape, dtype=np.int32)
    return components, int(ndimage.label(mask, _EIGHT_CONNECTED, output=components))  # pyright: ignore[reportArgumentType]


def _matched(iou: NDArray, scores: list[float]) -> int:
    """Return how many lesions are found: by falling score each candidate takes the free lesion it fits best.

    iou: [candidates, lesions] float. A further candidate on a found lesion counts neither way (METHODS 1.7, rule 4).
    """
    free = np.ones(iou.shape[1], dtype=bool)
    for candidate in sorted(range(len(scores)), key=lambda index: -scores[index]):
        fit = np.where(free, iou[candidate], 0.0)
        if fit.max() > MIN_IOU:
            free[fit.argmax()] = False
    return int((~free).sum())
