"""Evaluate a model's maps against the truth: FROC in both modes, and each candidate's outcome. Needs no Ray."""

from pathlib import Path

from system.archive import Archive
from system.evaluation.examine_run import examine_run
from system.metrics import FrocConfig
from system.records import Split
from system.run.results import FrocResult, InferResult
from system.run.stage import Stage, Written


def run(
    predictions: Stage[InferResult],
    *,
    archive: Archive,
    config: FrocConfig,
    split: Split,
    mask_threshold: float,
    stage: Stage[FrocResult],
) -> FrocResult:
    """Write froc.json, candidates.parquet, lesions.parquet and images.parquet (system/schemas.py).

    predictions: finished, every map kept; images of other splits are passed over
    archive: pinned to the run's versions
    mask_threshold: of the masks whose Dice is taken
    """

    def evaluate(attempt: Path) -> Written[FrocResult]:
        result, files = examine_run(
            predictions, attempt, archive=archive, config=config, split=split, mask_threshold=mask_threshold
        )
        parents, versions = [predictions.name], archive.versions()
        return Written(result, files=files, settings=config, archive_versions=versions, parents=parents)

    return stage.once(evaluate)
