"""`--final`: the winner's numbers on test, beside the start setting's; taken once, and kept."""

from collections.abc import Mapping, Sequence

from pipelines import selftrain
from pipelines.sweep.inputs import SweepInputs
from pipelines.sweep.measured import gain_of, judged, masks_of, measure_of, value_of
from pipelines.sweep.perform import pairs_of
from pipelines.sweep.places import TrialPlace
from system.errors import UserError
from system.evaluation.read_back import patient_counts
from system.figures.sweep_rows import FinalResult, SweepTrial
from system.metrics import PatientCounts
from system.records import Split
from system.run.stage import Stage, Written
from system.run.systems import System
from tune_spaces import applied


def final_stage(inputs: SweepInputs) -> Stage[FinalResult]:
    """Return the stage of the numbers on test; no files."""
    return Stage(inputs.out, "final", FinalResult)


def final(
    inputs: SweepInputs,
    winner: SweepTrial,
    start: SweepTrial,
    *,
    places: Mapping[int, Sequence[TrialPlace]],
) -> FinalResult:
    """Measure the winner and the start setting on test, or return what was measured.

    places: number of the trial → where its models lie

    Raises UserError where another trial was measured before: a second look would choose on test.
    """
    stage = final_stage(inputs)
    if stage.finished:
        found = stage.result()
        if found.number != winner.number or found.num_models != len(places[winner.number]):
            raise UserError(
                f"the test patients were looked at for trial {found.number}, trained {found.num_models} times, and the "
                f"winner is now trial {winner.number}, trained {len(places[winner.number])} times: a second look would "
                "choose on test. The first numbers stand in final/manifest.json; for another winner use other patients"
            )
        return found

    def measure(_: object) -> Written[FinalResult]:
        counts = {
            trial.number: [_on_test(inputs, place, trial) for place in places[trial.number]]
            for trial in (winner, start)
        }
        ours, own_interval = value_of(inputs, counts[winner.number])
        gain, interval = gain_of(inputs, counts[start.number], counts[winner.number])
        first = counts[winner.number][0]
        found = FinalResult(
            number=winner.number,
            setting=dict(winner.setting),
            num_models=len(counts[winner.number]),
            num_patients=len(first.patients),
            num_lesions=int(first.lesions.sum()),
            mean=ours,
            interval=own_interval.pair(),
            start_mean=value_of(inputs, counts[start.number])[0],
            gain=gain,
            gain_interval=interval.pair(),
        )
        return Written(
            found, archive_versions=inputs.archive.versions(), summary=f"{measure_of(inputs.kind)} {ours:.3f}"
        )

    return stage.once(measure)


def _on_test(inputs: SweepInputs, place: TrialPlace, trial: SweepTrial) -> PatientCounts:
    """Return what a trial's model finds in each test patient; its thresholds are those of validation."""
    if inputs.kind == "refine":
        return masks_of(inputs, trial.setting, split=Split.TEST)
    config, trained = applied(inputs.config, trial.setting), judged(inputs, place)
    system = System(inputs.out, f"final/{place.folder}/{trained.name.rpartition('/')[2]}", trained.title)
    system.checkpoint.adopt(trained.checkpoint)
    system.thresholds.adopt(trained.thresholds)
    pairs = pairs_of(inputs.archive.table("images"), Split.TEST)
    selftrain.infer_and_choose_thresholds(system, pairs, archive=inputs.archive, config=config)
    selftrain.evaluate_on(system, Split.TEST, archive=inputs.archive, config=config)
    return patient_counts(system.froc(Split.TEST), config=config.froc)
