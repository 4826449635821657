"""Choose the mask threshold and the candidate threshold of a model on validation."""

import logging

from system.archive import Archive
from system.config import RunConfig
from system.evaluation.candidate_threshold import choose_candidate_threshold
from system.evaluation.maps_of_run import held_out_images
from system.evaluation.mask_threshold import choose_mask_threshold
from system.evaluation.report_negatives import threshold_of_negatives
from system.records import Split
from system.run.results import InferResult, Thresholds
from system.run.stage import Stage, Written

log = logging.getLogger(__name__)


def choose_thresholds(
    held_out: Stage[InferResult],
    *,
    archive: Archive,
    config: RunConfig,
    stage: Stage[Thresholds],
) -> Thresholds:
    """Return the thresholds of a model; a number in the settings is taken as it is.

    held_out: predictions with every map kept, the validation split among them and, for report_negatives, weak images
    """
    refine, froc = config.infer.refine, config.froc

    def decide(_: object) -> Written[Thresholds]:
        images = [
            (image.probability, image.truth)
            for image in held_out_images(held_out, archive=archive, split=Split.VALIDATION)
        ]
        maps, masks = [pair[0] for pair in images], [pair[1] for pair in images]
        if refine.mask_threshold == "validation":
            choice = choose_mask_threshold(maps, masks, min_px=refine.min_candidate_px)
            mask, mask_reason = choice.threshold, choice.reason
        elif refine.mask_threshold == "report_negatives":
            mask, mask_reason = threshold_of_negatives(held_out, archive=archive, p0=config.rounds.p0.start)
        else:
            mask, mask_reason = float(refine.mask_threshold), "set in infer.refine.mask_threshold"
        candidate, candidate_reason = froc.candidate_threshold, "set in froc.candidate_threshold"
        if froc.candidates == "own_peak":
            candidate_reason = "set in froc.candidate_threshold, not used: each candidate ends at half of its own peak"
        elif config.choose_candidate_threshold:
            candidate, candidate_reason = choose_candidate_threshold(maps, masks, config=froc)
        log.info("mask threshold %.3g (%s)", mask, mask_reason)
        log.info("candidate threshold %.3g (%s)", candidate, candidate_reason)
        return Written(Thresholds(mask, mask_reason, candidate, candidate_reason), parents=[held_out.name])

    return stage.once(decide)
