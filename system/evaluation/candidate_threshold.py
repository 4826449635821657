"""Choose the candidate threshold (t0) on validation.

If it is too low, masses merge with their surroundings; if it is too high, they are lost.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from system.maps import components, peaks
from system.metrics.config import FrocConfig
from system.metrics.froc import froc_curve, mean_sensitivity
from system.metrics.matching import gather, match, overlaps

GRID = (0.02, 0.05, 0.08, 0.1, 0.15, 0.2, 0.25, 0.3, 0.4, 0.5, 0.6)


def choose_candidate_threshold(
    maps: Sequence[NDArray[np.floating]],
    masks: Sequence[NDArray[np.bool_]],
    *,
    config: FrocConfig,
    grid: Sequence[float] = GRID,
) -> tuple[float, str]:
    """Return the threshold of the grid with the best mean sensitivity, the lowest of equals, and the reason in words.

    Without a lesion the configured threshold is kept.

    maps: n of [H, W], 0 to 1
    masks: n of [H, W]
    """
    lesions = [components(mask, min_px=config.min_lesion_px) for mask in masks]
    num_lesions = sum(len(found.area_px) for found in lesions)
    if not num_lesions:
        reason = f"no lesion in {len(masks)} validation images: the configured threshold is kept"
        return config.candidate_threshold, reason
    means: dict[float, float] = {}
    for threshold in sorted(grid):
        images: list[tuple[NDArray[np.float32], NDArray[np.float64]]] = []
        for probability, truth in zip(maps, lesions, strict=True):
            candidates = components(probability >= threshold, min_px=config.min_candidate_px)
            images.append((peaks(probability, candidates), overlaps(candidates, truth)))
        detections = gather(images)
        curve = froc_curve(detections, match(detections, iou=config.iou), config=config)
        means[threshold] = mean_sensitivity(curve, fppi=config.fppi)
    best = max(means, key=lambda threshold: (means[threshold], -threshold))
    return best, f"best mean sensitivity {means[best]:.3f} over {num_lesions} lesions in {len(masks)} validation images"
