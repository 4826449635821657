"""What each threshold of a grid makes of the validation images, kept image by image without their pixels."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from system.maps import components, peaks
from system.metrics.matching import Detections, gather, overlaps


class ThresholdGrid:
    """The candidates of images at each threshold of a grid. Memory grows with the candidates, not with the pixels."""

    def __init__(self, grid: Sequence[float], *, min_lesion_px: int, min_candidate_px: int) -> None:
        """Raise ValueError for an empty grid.

        grid: probabilities, 0 to 1
        min_lesion_px, min_candidate_px: smaller components of the truth and of a map are left out
        """
        if not grid:
            raise ValueError("need a grid of thresholds to choose from, found none")
        self.num_images = 0
        self.num_lesions = 0
        self._min_lesion_px, self._min_candidate_px = min_lesion_px, min_candidate_px
        self._found: dict[float, list[tuple[NDArray[np.float32], NDArray[np.float64]]]] = {
            threshold: [] for threshold in sorted(grid)
        }

    @property
    def thresholds(self) -> list[float]:
        """The grid, rising."""
        return list(self._found)

    def add(self, probability: NDArray[np.floating], truth: NDArray[np.bool_]) -> None:
        """Look at one image.

        probability: [H, W], 0 to 1
        truth: [H, W], the lesions at the same size
        """
        lesions = components(truth, min_px=self._min_lesion_px)
        self.num_images += 1
        self.num_lesions += len(lesions.area_px)
        for threshold, images in self._found.items():
            candidates = components(probability >= threshold, min_px=self._min_candidate_px)
            images.append((peaks(probability, candidates), overlaps(candidates, lesions)))

    def detections(self, threshold: float) -> Detections:
        """Return the candidates and lesions of all images at one threshold of the grid."""
        return gather(self._found[threshold])
