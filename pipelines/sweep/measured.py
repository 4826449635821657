"""How trials are judged, and what a trial finds in each patient, read back to compare settings."""

from collections.abc import Sequence

from pipelines.sweep.inputs import SweepInputs
from pipelines.sweep.masks import counts_of_masks
from pipelines.sweep.places import TrialPlace
from system.evaluation.counts_file import COUNTS, read_counts
from system.evaluation.read_back import patient_counts
from system.figures.bands import mean_curve, with_band
from system.figures.rows import FrocSeries
from system.metrics import PatientCounts, gain_over_seeds, over_seeds
from system.metrics.bootstrap import Interval
from system.metrics.lesion_f1 import gain_in_f1, lesion_f1
from system.records import Split
from system.run.systems import System
from tune_spaces import KINDS, Setting, applied


def measure_of(kind: str) -> str:
    """Return the name of what trials of a kind are judged by."""
    return "mean sensitivity" if KINDS[kind].trains else "lesion F1 of the masks"


def value_of(inputs: SweepInputs, seeds: Sequence[PatientCounts]) -> tuple[float, Interval]:
    """Return the measure of all seeds together, 0 to 1, and its 95 % interval by patient."""
    if not KINDS[inputs.kind].trains:
        return lesion_f1(seeds[0], config=inputs.config.froc)
    found = over_seeds(seeds, config=inputs.config.froc)
    return found.mean, found.interval


def gain_of(
    inputs: SweepInputs, first: Sequence[PatientCounts], second: Sequence[PatientCounts]
) -> tuple[float, Interval]:
    """Return second minus first in the measure, and its interval, paired by patient. first, second: one per seed."""
    if not KINDS[inputs.kind].trains:
        return gain_in_f1(first[0], second[0], config=inputs.config.froc)
    return gain_over_seeds(first, second, config=inputs.config.froc)


def judged(inputs: SweepInputs, place: TrialPlace) -> System:
    """Return the model that a finished trial was judged by: of a loop, the one that it would go on from."""
    if inputs.kind == "loop":
        return place.run.before(len(place.run.trained_rounds()) + 1)
    return place.system


def masks_of(inputs: SweepInputs, setting: Setting, *, split: Split) -> PatientCounts:
    """Return what the masks of a setting find, of a sweep of kind refine."""
    return counts_of_masks(
        inputs.source,
        inputs.archive,
        round_number=inputs.round_number,
        split=split,
        refine=applied(inputs.config, setting).infer.refine,
        froc=inputs.config.froc,
    )


def counts_of(inputs: SweepInputs, place: TrialPlace) -> PatientCounts:
    """Return what a finished trial finds in each validation patient. Raises NotFinished."""
    if inputs.kind == "refine":
        return read_counts(place.result.path(COUNTS))
    return patient_counts(judged(inputs, place).froc(Split.VALIDATION), config=inputs.config.froc)


def curve_of(inputs: SweepInputs, place: TrialPlace, *, title: str) -> FrocSeries:
    """Return a finished trial's curve on validation, with its interval. Raises NotFinished."""
    counts, froc = counts_of(inputs, place), inputs.config.froc
    curve = mean_curve(title, [counts], config=froc)
    return with_band(title, curve.fppi, curve.sensitivity, counts, config=froc)
