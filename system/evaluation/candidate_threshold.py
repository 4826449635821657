"""Choose the candidate threshold (t0) on validation.

If it is too low, masses merge with their surroundings; if it is too high, they are lost.
"""

from collections.abc import Sequence

from system.evaluation.threshold_grid import ThresholdGrid
from system.metrics.config import FrocConfig
from system.metrics.froc import froc_curve, mean_sensitivity
from system.metrics.matching import match

GRID = (0.02, 0.05, 0.08, 0.1, 0.15, 0.2, 0.25, 0.3, 0.4, 0.5, 0.6)


def candidate_grid(config: FrocConfig, *, grid: Sequence[float] = GRID) -> ThresholdGrid:
    """Return an empty grid, to which the validation images are added one by one."""
    return ThresholdGrid(grid, min_lesion_px=config.min_lesion_px, min_candidate_px=config.min_candidate_px)


def choose_candidate_threshold(found: ThresholdGrid, *, config: FrocConfig) -> tuple[float, str]:
    """Return the threshold of the grid with the best mean sensitivity, the lowest of equals, and the reason in words.

    Without a lesion the configured threshold is kept.

    found: of the validation images
    """
    if not found.num_lesions:
        reason = f"no lesion in {found.num_images} validation images: the configured threshold is kept"
        return config.candidate_threshold, reason
    means: dict[float, float] = {}
    for threshold in found.thresholds:
        detections = found.detections(threshold)
        curve = froc_curve(detections, match(detections, iou=config.iou), config=config)
        means[threshold] = mean_sensitivity(curve, fppi=config.fppi)
    best = max(means, key=lambda threshold: (means[threshold], -threshold))
    counts = f"{found.num_lesions} lesions in {found.num_images} validation images"
    return best, f"best mean sensitivity {means[best]:.3f} over {counts}"
