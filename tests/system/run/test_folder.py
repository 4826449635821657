"""A run's folder: its stages by name, its rounds and systems, and which is its result."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from system.archive import Archive
from system.config import RunConfig
from system.errors import NotFinished, UserError
from system.metrics import FrocConfig
from system.metrics.summary import FrocSummary
from system.mining import QuadrantCounts
from system.records import Split
from system.reports.rule_rates import RuleRates
from system.rounds import Chosen, Gain, Promotion
from system.run.folder import RunFolder
from system.run.kept_config import CONFIG
from system.run.results import (
    ArchivePin,
    EvaluationCounts,
    FrocResult,
    InferResult,
    LabelResult,
    Pool,
    PoolsResult,
    Thresholds,
    TrainResult,
)
from system.run.stage import Stage, Written
from system.run.systems import SUPERVISED, System
from tests.epoch_rows import epoch_row

CONFIGURED = RunConfig()
NO_LABELS = LabelResult("m", {}, {}, {}, 0, 0, "models", RuleRates(0.5, 0.5, 0.5))


def froc_result() -> FrocResult:
    nan = float("nan")
    summary = FrocSummary({"1": nan}, {"1": (nan, nan)}, nan, (nan, nan), 0, 0.0, ("1",))
    counts = EvaluationCounts(1, 1, 0, 0, 0, 0, 0, 0)
    return FrocResult("test", FrocConfig(), 0.5, summary, summary, counts, nan, nan, {})


def measure(system: System, *, split: Split = Split.TEST) -> None:
    system.thresholds.once(lambda _: Written(Thresholds(0.3, "chosen", 0.1, "chosen")))
    system.froc(split).once(lambda _: Written(froc_result()))


def freeze_pools(run: RunFolder, number: int) -> None:
    pool = Pool(1, 0.95, "pool_step_1.arrow", QuadrantCounts(1, 0, 0, 0, 0), {}, {}, ())
    result = PoolsResult(number, 1, 0, 0, {}, (pool,), "outlined.parquet")
    run.round(number).pools.once(lambda _: Written(result))


def decide_on(run: RunFolder, number: int, *, promoted: bool) -> None:
    gain = Gain(mean=0.5, before=0.4, difference=0.1, interval=(0.0, 0.2))
    run.round(number).promotion.once(lambda _: Written(Promotion(promoted, "stage1", gain, "by hand")))


def test_attributes_are_the_stages_of_their_names(run: RunFolder) -> None:
    stages: list[tuple[Stage[Any], str, type]] = [
        (run.labels, "labels", LabelResult),
        (run.archive_pin, "archive", ArchivePin),
        (run.stage1.checkpoint, "stage1/checkpoint", TrainResult),
        (run.stage1.held_out, "stage1/held_out", InferResult),
        (run.stage1.thresholds, "stage1/thresholds", Thresholds),
        (run.stage1.froc(), "stage1/froc", FrocResult),
        (run.stage1.froc(Split.TEST), "stage1/froc", FrocResult),
        (run.stage1.froc(Split.VALIDATION), "stage1/froc_validation", FrocResult),
        (run.stage1.validated, "stage1/validated", FrocResult),
        (run.control(2).checkpoint, "control_02/checkpoint", TrainResult),
        (run.round(1).predictions, "round_01/predictions", InferResult),
        (run.round(1).pools, "round_01/pools", PoolsResult),
        (run.round(2).checkpoint, "round_02/checkpoint", TrainResult),
        (run.round(2).promotion, "round_02/promotion", Promotion),
        (run.round(12).froc(), "round_12/froc", FrocResult),
        (run.chosen, "chosen", Chosen),
    ]
    for stage, name, result_type in stages:
        assert (stage.run, stage.name, stage.result_type) == (run.path, name, result_type)


def test_a_labelling_with_new_models_follows_the_last_finished_one(run: RunFolder) -> None:
    assert (run.last_labelling(), run.next_labelling()) == (None, run.labels)
    run.labels.once(lambda _: Written(NO_LABELS))
    assert run.last_labelling() == run.labels
    second = run.next_labelling()
    assert (second.name, second.result_type) == ("labels_02", LabelResult)
    second.folder.mkdir()  # begun, not finished
    assert (run.last_labelling(), run.next_labelling()) == (run.labels, second)
    second.once(lambda _: Written(NO_LABELS))
    assert run.labellings() == [run.labels, second]
    assert (run.last_labelling(), run.next_labelling().name) == (second, "labels_03")


def test_systems_have_the_titles_of_the_final_table(run: RunFolder) -> None:
    titles = [system.title for system in (run.stage1, run.control(2), run.round(2))]
    assert titles == [SUPERVISED, "control 2", "round 2"]


def test_a_folder_is_named_as_on_disk_also_when_it_is_given_as_a_dot(
    run: RunFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    run.path.mkdir()
    monkeypatch.chdir(run.path)
    assert (run.name, RunFolder(Path()).name) == ("run_7", "run_7")


def test_the_first_round_goes_on_from_stage_1(run: RunFolder) -> None:
    assert run.before(1) == run.stage1


@pytest.mark.parametrize(
    ("promoted", "expected"),
    [((True, True), "round_02"), ((True, False), "round_01"), ((False, True), "round_02"), ((False, False), "stage1")],
)
def test_a_round_goes_on_from_the_last_one_that_was_promoted(
    run: RunFolder, promoted: tuple[bool, ...], expected: str
) -> None:
    for number, better in enumerate(promoted, start=1):
        decide_on(run, number, promoted=better)
    assert run.before(3).name == expected


def test_what_a_round_goes_on_from_is_open_until_the_round_before_is_decided_on(run: RunFolder) -> None:
    decide_on(run, 1, promoted=True)
    with pytest.raises(NotFinished, match="stage round_02/promotion of run run_7 is not finished"):
        run.before(3)


def test_the_result_is_the_system_that_was_chosen(run: RunFolder) -> None:
    freeze_pools(run, 1)
    for system in (run.stage1, run.control(1), run.round(1)):
        measure(system)
    with pytest.raises(NotFinished, match="stage chosen of run run_7 is not finished"):
        run.result()
    run.chosen.once(lambda _: Written(Chosen("control_01", "control 1", {"control 1": 0.5}, "highest")))
    assert run.result() == run.control(1)


def test_rounds_stop_at_the_first_without_pools(run: RunFolder) -> None:
    assert run.rounds() == []
    for number in (1, 2, 4):
        freeze_pools(run, number)
    assert [found.number for found in run.rounds()] == [1, 2]
    run.round(3).predictions.folder.mkdir(parents=True)  # round 3 was begun
    assert [found.number for found in run.rounds()] == [1, 2]


def test_systems_are_those_that_are_measured_in_the_order_of_the_final_table(run: RunFolder) -> None:
    assert run.systems() == []
    freeze_pools(run, 1)
    freeze_pools(run, 2)
    for system in (run.round(2), run.round(1), run.control(2), run.control(1), run.stage1):
        measure(system)
    names = ["stage1", "control_01", "round_01", "control_02", "round_02"]
    assert [system.name for system in run.systems()] == names


def test_rounds_without_a_control_beside_them_stand_alone(run: RunFolder) -> None:
    freeze_pools(run, 1)
    for system in (run.stage1, run.round(1)):
        measure(system)
    assert [system.name for system in run.systems()] == ["stage1", "round_01"]


def test_a_system_without_thresholds_or_without_its_evaluation_on_test_is_not_measured(run: RunFolder) -> None:
    measure(run.stage1, split=Split.VALIDATION)
    assert not run.stage1.measured
    freeze_pools(run, 1)
    run.control(1).froc().once(lambda _: Written(froc_result()))
    assert not run.control(1).measured
    measure(run.round(2))  # without pools it is no round of this run
    assert run.systems() == []


def test_the_model_is_the_attempt_of_its_training(run: RunFolder) -> None:
    with pytest.raises(NotFinished, match="stage stage1/checkpoint of run run_7 is not finished"):
        _ = run.stage1.model

    def train(attempt: Path) -> Written[TrainResult]:
        for name in ("model.json", "model.safetensors"):
            (attempt / name).write_text("{}")
        return Written(TrainResult(1, 1, 4, epoch_row()), sorted(attempt.iterdir()))

    run.stage1.checkpoint.once(train)
    assert run.stage1.model == run.path / "stage1" / "checkpoint" / "attempt_001"


def test_a_run_takes_its_labels_from_the_last_finished_labelling(run: RunFolder) -> None:
    assert run.labelling == run.labels
    run.labels.once(lambda _: Written(NO_LABELS))
    second = run.next_labelling()
    second.folder.mkdir()  # begun, not finished
    assert run.labelling == run.labels
    second.once(lambda _: Written(NO_LABELS))
    assert run.labelling == second


def test_a_run_that_is_pinned_to_its_archive_gets_no_other_labelling(
    run: RunFolder, make_archive: Callable[[str, bytes], Archive]
) -> None:
    run.labels.once(lambda _: Written(NO_LABELS))
    run.pin(make_archive("archive", b"k" * 32).uri)
    with pytest.raises(
        UserError, match=r"run run_7 is pinned to the archive with the labels of labels; .*another --out"
    ):
        run.next_labelling()


def test_a_folder_whose_labels_were_made_with_other_settings_is_not_claimed_and_stays_as_it_is(run: RunFolder) -> None:
    settings = CONFIGURED.reports
    run.labels.once(lambda _: Written(NO_LABELS, settings=settings.changed(epochs=9, learning_rate=0.5)))
    refusal = (
        r"stage labels of run run_7 was done with other settings \(reports\.epochs: 9, now 5; "
        r"reports\.learning_rate: 0\.5, now 2e-05\): give the same ones to go on from it, or choose another --out"
    )
    with pytest.raises(UserError, match=refusal), run.claimed(CONFIGURED):
        pass
    assert not (run.path / CONFIG).exists()


def test_a_folder_whose_labels_were_made_with_the_same_settings_is_claimed_whatever_the_resources(
    run: RunFolder,
) -> None:
    run.labels.once(lambda _: Written(NO_LABELS, settings=CONFIGURED.reports))
    resources = CONFIGURED.resources
    fewer = resources.changed(reports=resources.reports.changed(fits_at_once=1))
    with run.claimed(CONFIGURED.changed(resources=fewer)):
        assert run.config().resources.reports.fits_at_once == 1
    assert run.labels.finished


def test_every_finished_stage_is_listed_by_name(run: RunFolder) -> None:
    freeze_pools(run, 1)
    measure(run.stage1)
    run.labels.folder.mkdir(parents=True)  # begun, not finished
    assert [stage.name for stage in run.stages()] == ["round_01/pools", "stage1/froc", "stage1/thresholds"]
