"""Choose on validation where a map becomes a mask, and where a candidate begins."""

import logging
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from pipelines.evaluate import probability_maps
from system.archive import Archive
from system.config import RunConfig
from system.metrics import choose_candidate_floor
from system.mining import choose_mask_threshold
from system.records import Split
from system.runs import Stage

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Thresholds:
    """Probabilities, 0 to 1, and why they were taken."""

    mask_threshold: float  # a mask is the refined map at or above it
    mask_reason: str
    candidate_floor: float  # t0: candidates are components of the map at or above it
    floor_reason: str


def choose(held_out: Stage, *, archive: Archive, config: RunConfig, stage: Stage) -> Thresholds:
    """Return the thresholds of a model; what the config fixes is taken as it is.

    held_out: predictions with every map kept, the validation split among them
    """

    def decide(_: Path) -> tuple[list[Path], dict[str, Any]]:
        pairs = [(found, truth) for _, found, truth in probability_maps(held_out, archive=archive, split=Split.VALIDATION)]
        return [], {"rows": len(pairs), "metrics": asdict(_decide(pairs, config)), "parents": [held_out.name]}

    return Thresholds(**stage.once(decide).metrics)


def _decide(pairs: list[tuple[np.ndarray, np.ndarray]], config: RunConfig) -> Thresholds:
    maps, masks = [pair[0] for pair in pairs], [pair[1] for pair in pairs]
    mask: Any = config.infer.refine.mask_threshold
    mask_reason = "set in infer.refine.mask_threshold"
    if mask == "validation":
        choice = choose_mask_threshold(maps, masks, min_px=config.infer.refine.min_candidate_px)
        mask, mask_reason = choice.threshold, choice.reason
    floor, floor_reason = config.froc.candidate_floor, "set in froc.candidate_floor"
    if config.choose_candidate_floor:
        floor, floor_reason = choose_candidate_floor(maps, masks, config=config.froc)
    log.info("mask threshold %.3g (%s); candidate floor %.3g (%s)", mask, mask_reason, floor, floor_reason)
    return Thresholds(float(mask), mask_reason, floor, floor_reason)
