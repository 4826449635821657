"""A trial's counts per patient and its curve on validation, read back to compare settings."""

from pipelines.sweep.inputs import SweepInputs
from pipelines.sweep.maps import MaskFroc, froc_of_masks
from pipelines.sweep.places import TrialPlace
from system.evaluation.read_back import patient_counts, read_report
from system.figures.bands import with_band
from system.figures.rows import FrocSeries
from system.metrics import PatientCounts
from system.metrics.summary import points
from system.records import Split
from system.run.systems import System
from tune_spaces import Setting, applied


def judged(inputs: SweepInputs, place: TrialPlace) -> System:
    """Return the model that a finished trial was judged by: of a loop, the one that it would go on from."""
    if inputs.kind == "loop":
        return place.run.before(len(place.run.trained_rounds()) + 1)
    return place.system


def masks_of(inputs: SweepInputs, setting: Setting, *, split: Split) -> MaskFroc:
    """Return what the masks of a setting find, of a sweep of kind refine."""
    config = applied(inputs.config, setting)
    return froc_of_masks(
        inputs.source,
        inputs.archive,
        round_number=inputs.round_number,
        split=split,
        refine=config.infer.refine,
        froc=config.froc,
    )


def counts_of(inputs: SweepInputs, place: TrialPlace, setting: Setting) -> PatientCounts:
    """Return what a finished trial finds in each validation patient. Raises NotFinished."""
    if inputs.kind == "refine":
        return masks_of(inputs, setting, split=Split.VALIDATION).counts
    return patient_counts(judged(inputs, place).froc(Split.VALIDATION), config=inputs.config.froc)


def curve_of(inputs: SweepInputs, place: TrialPlace, setting: Setting, *, title: str) -> FrocSeries:
    """Return a finished trial's curve on validation, with its interval. Raises NotFinished."""
    froc = inputs.config.froc
    if inputs.kind == "refine":
        found = masks_of(inputs, setting, split=Split.VALIDATION)
        curve = points(found.curve)
        return with_band(title, curve.fppi, curve.sensitivity, found.counts, config=froc)
    stage = judged(inputs, place).froc(Split.VALIDATION)
    curve = read_report(stage).sweep_curve
    return with_band(title, curve.fppi, curve.sensitivity, patient_counts(stage, config=froc), config=froc)
