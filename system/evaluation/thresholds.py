"""Choose the mask threshold and the candidate threshold of a model on validation."""

from system.archive import Archive
from system.config import RunConfig
from system.evaluation.candidate_threshold import candidate_grid, choose_candidate_threshold
from system.evaluation.maps_of_run import held_out_images
from system.evaluation.mask_threshold import choose_mask_threshold, mask_grid
from system.evaluation.report_negatives import threshold_of_negatives
from system.records import Split
from system.run.results import InferResult, Thresholds
from system.run.stage import Stage, Written


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
        masks, candidates = mask_grid(min_px=refine.min_candidate_px), candidate_grid(froc)
        choose_mask = refine.mask_threshold == "validation"
        choose_candidate = config.choose_candidate_threshold and froc.needs_threshold
        grids = [grid for grid, wanted in ((masks, choose_mask), (candidates, choose_candidate)) if wanted]
        if grids:
            for image in held_out_images(held_out, archive=archive, split=Split.VALIDATION):
                for grid in grids:
                    grid.add(image.probability, image.truth)
        mask, mask_reason = refine.mask_threshold, "set in infer.refine.mask_threshold"
        if mask == "validation":
            choice = choose_mask_threshold(masks)
            mask, mask_reason = choice.threshold, choice.reason
        elif mask == "report_negatives":
            mask, mask_reason = threshold_of_negatives(held_out, archive=archive, p0=config.rounds.p0.start)
        candidate, candidate_reason = froc.candidate_threshold, "set in froc.candidate_threshold"
        if choose_candidate:
            candidate, candidate_reason = choose_candidate_threshold(candidates, config=froc)
        elif froc.regions == "mask":
            candidate_reason += ", not used: the components of the mask are the candidates"
        elif froc.candidates == "own_peak":
            candidate_reason += ", not used: each candidate ends at half of its own peak"
        found = Thresholds(mask, mask_reason, candidate, candidate_reason)
        summary = f"mask threshold {mask:.3g} ({mask_reason}), candidate threshold {candidate:.3g} ({candidate_reason})"
        return Written(found, parents=[held_out.name], summary=summary)

    return stage.once(decide)
