"""One image's map compared with its truth: all that the FROC needs of an image, so that its pixels can be dropped."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from system.maps import components, find_boxes, peaks
from system.metrics.config import FrocConfig
from system.metrics.matching import overlaps
from system.metrics.rethreshold import CutCounts, count_cuts
from system.own_peak import own_peak_components
from system.records import Box


@dataclass(frozen=True, slots=True)
class Examination:
    """The lesions of one image, its candidates, and their overlaps."""

    scores: NDArray[np.float32]  # [n] of the candidates, 0 to 1
    boxes_px: list[Box]  # [n] canonical view
    area_px: NDArray[np.int64]  # [n]
    iou: NDArray[np.float64]  # [n, m] of candidates with lesions
    lesion_area_px: NDArray[np.int64]  # [m]
    num_specks: int  # components of the truth too small to count
    cuts: CutCounts  # the second mode

    @property
    def num_lesions(self) -> int:
        """The lesions this image shows."""
        return self.iou.shape[1]


def examine(
    probability: NDArray[np.floating],
    truth: NDArray[np.bool_],
    *,
    levels: NDArray[np.float64],
    config: FrocConfig,
    mask: NDArray[np.bool_] | None = None,
) -> Examination:
    """Return the candidates and lesions of one image.

    probability: [H, W], 0 to 1
    truth: [H, W]
    levels: [T], falling: the cuts of the second mode
    mask: [H, W] M_b, used by and needed for config.regions = "mask"
    """
    if probability.shape != truth.shape:
        raise ValueError(
            f"the map is {list(probability.shape)} but the truth {list(truth.shape)}: bring both to the canonical view"
        )
    lesions = components(truth, min_px=config.min_lesion_px)
    cut = probability
    if config.regions == "mask":
        if mask is None:
            raise ValueError("froc.regions=mask takes candidates from a mask, and none was given")
        cut = np.where(mask, probability, 0)
    above = components(cut >= config.lowest_cut, min_px=config.min_candidate_px)
    if config.candidates == "own_peak":
        candidates, scores = own_peak_components(probability, min_px=config.min_candidate_px)
    else:
        candidates = above if mask is None else components(mask, min_px=config.min_candidate_px)
        scores = peaks(probability, candidates)
    return Examination(
        scores=scores,
        boxes_px=[(x.start, y.start, x.stop, y.stop) for y, x in find_boxes(candidates.labels)],
        area_px=candidates.area_px,
        iou=overlaps(candidates, lesions),
        lesion_area_px=lesions.area_px,
        num_specks=len(components(truth & (lesions.labels == 0), min_px=1).area_px),
        cuts=count_cuts(cut, above, lesions=lesions, levels=levels, config=config),
    )
