"""Choose on validation where a candidate begins (t0): too low and masses melt into their surroundings, too high and they are lost."""

from collections.abc import Sequence

import numpy as np

from system.maps import components, peaks
from system.metrics.config import FrocConfig
from system.metrics.froc import froc_curve, mean_sensitivity
from system.metrics.matching import gather, match, overlaps

GRID = (0.02, 0.05, 0.08, 0.1, 0.15, 0.2, 0.25, 0.3, 0.4, 0.5, 0.6)


def choose_candidate_threshold(
    maps: Sequence[np.ndarray], masks: Sequence[np.ndarray], *, config: FrocConfig, grid: Sequence[float] = GRID
) -> tuple[float, str]:
    """Return the floor of the grid with the best mean sensitivity, the lowest of equals, and why in words.

    maps: n of [H, W] float, 0 to 1;  masks: n of [H, W] bool. Without a lesion the configured floor is kept.
    """
    lesions = [components(mask, min_px=config.min_lesion_px) for mask in masks]
    num_lesions = sum(len(found.area_px) for found in lesions)
    if not num_lesions:
        return config.candidate_threshold, f"no lesion in {len(masks)} validation images: the configured floor is kept"
    means = {}
    for floor in sorted(grid):
        images = []
        for probability, truth in zip(maps, lesions, strict=True):
            candidates = components(probability >= floor, min_px=config.min_candidate_px)
            images.append((peaks(probability, candidates), overlaps(candidates, truth)))
        detections = gather(images)
        curve = froc_curve(detections, match(detections, iou=config.iou), config=config)
        means[floor] = mean_sensitivity(curve, fppi=config.fppi)
    best = max(means, key=lambda floor: (means[floor], -floor))
    return best, f"best mean sensitivity {means[best]:.3f} over {num_lesions} lesions in {len(masks)} validation images"
