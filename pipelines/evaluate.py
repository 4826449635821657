"""Evaluate a model's maps against the truth: FROC in both modes, and each candidate's outcome. Needs no Ray."""

from pathlib import Path

from system.archive import Archive
from system.evaluation.examine_run import MaskRule, examine_run
from system.metrics import FrocConfig
from system.records import Split
from system.refine import RefineConfig
from system.run.results import FrocResult, InferResult
from system.run.stage import Stage, Written
from system.run.systems import System


def run(
    predictions: Stage[InferResult],
    *,
    archive: Archive,
    config: FrocConfig,
    split: Split,
    masks: MaskRule,
    stage: Stage[FrocResult],
) -> FrocResult:
    """Write froc.json, candidates.parquet, lesions.parquet and images.parquet (system/schemas.py).

    predictions: finished, every map kept; images of other splits are passed over
    archive: pinned to the run's versions
    masks: as of system.evaluation.examine_run
    """

    def evaluate(attempt: Path) -> Written[FrocResult]:
        result, files = examine_run(predictions, attempt, archive=archive, config=config, split=split, masks=masks)
        parents, versions = [predictions.name], archive.versions()
        counts = f"{result.counts.num_images} images, {result.counts.num_lesions} lesions"
        summary = f"{counts}, mean sensitivity {result.sweep.mean:.3f}"
        return Written(
            result, files=files, settings=config, archive_versions=versions, parents=parents, summary=summary
        )

    return stage.once(evaluate)


def by_other_rules(
    system: System, split: Split, *, archive: Archive, config: FrocConfig, refine: RefineConfig
) -> Stage[FrocResult]:
    """Return the evaluation of a measured system by rules that its run did not use; each set of rules is done once.

    archive: pinned to the run's versions
    config: the rules, their candidate threshold taken as it is
    refine: of the run

    Raises NotFinished for a system that was not measured.
    """
    stage = system.froc(split, other_rules=config)
    run(
        system.held_out,
        archive=archive,
        config=config,
        split=split,
        masks=MaskRule(system.thresholds.result().mask_threshold, refine),
        stage=stage,
    )
    return stage
