"""One image's map held against its truth: everything the FROC needs of an image, after which its pixels can be dropped."""

from dataclasses import dataclass

import numpy as np
from scipy import ndimage

from system.maps import components, peaks
from system.metrics.config import FrocConfig
from system.metrics.matching import overlaps
from system.metrics.rethreshold import CutCounts, count_cuts
from system.records import Box


@dataclass(frozen=True, slots=True)
class Examination:
    """What one image shows and what was said of it."""

    scores: np.ndarray  # [n] float32, candidates at the floor, 0 to 1
    boxes_px: list[Box]  # [n] canonical view
    area_px: np.ndarray  # [n] int64
    iou: np.ndarray  # [n, m] float64, candidates with lesions
    lesion_area_px: np.ndarray  # [m] int64
    num_specks: int  # components of the truth too small to count
    cuts: CutCounts  # the second mode

    @property
    def num_lesions(self) -> int:
        """The lesions this image shows."""
        return self.iou.shape[1]


def examine(probability: np.ndarray, truth: np.ndarray, *, levels: np.ndarray, config: FrocConfig) -> Examination:
    """Return what one image's map yields.

    probability: [H, W] float, 0 to 1;  truth: [H, W] bool;  levels: [T] float, falling: the cuts of the second mode
    """
    if probability.shape != truth.shape:
        raise ValueError(
            f"the map is {list(probability.shape)} but the truth {list(truth.shape)}: bring both to the canonical view"
        )
    lesions = components(truth, min_px=config.min_lesion_px)
    candidates = components(probability >= config.candidate_threshold, min_px=config.min_candidate_px)
    return Examination(
        scores=peaks(probability, candidates),
        boxes_px=[(x.start, y.start, x.stop, y.stop) for y, x in ndimage.find_objects(candidates.labels)],
        area_px=candidates.area_px,
        iou=overlaps(candidates, lesions),
        lesion_area_px=lesions.area_px,
        num_specks=len(components(truth & (lesions.labels == 0), min_px=1).area_px),
        cuts=count_cuts(probability, candidates, lesions=lesions, levels=levels, config=config),
    )
