"""What a sweep starts from, how its resources are shared out, and whose an error is; no Ray is running."""

from dataclasses import replace
from pathlib import Path

import pytest
from sqlalchemy.exc import OperationalError

from pipelines.cluster import side_by_side
from pipelines.sweep.places import TrialPlace, place_of
from pipelines.sweep.run import SweepPlan, check_plan, num_steps
from pipelines.sweep.study import begun, enqueue, in_words, objectives_of, open_study
from pipelines.sweep.tuning import ends_the_sweep, reason_of, shared_out
from pipelines.sweep.warm import warm_start
from system.config import ConfigError, RunConfig, resolve
from system.errors import MachineFault, UserError
from system.faults import FULL, KILLED, MEMORY, machine_fault
from system.run.chapter import Chapter
from system.run.folder import RunFolder
from system.run.results import TrialResult
from system.run.stage import Written
from tests.pipelines.sweep.conftest import MASK_THRESHOLD, MakeInputs
from tune_spaces import Choice, Range, Setting, Space

ALPHA = Space({"loss.alpha": Range(0.1, 0.9)})


def finish(place: TrialPlace, setting: Setting, mean: float, *, stopped_after: int = 0) -> None:
    result = TrialResult(dict(setting), mean, (0.0, 1.0), {"0.1": mean}, seconds=3.0, stopped_after=stopped_after)
    place.result.once(lambda _: Written(result))


def test_a_config_of_another_backbone_is_refused(make_inputs: MakeInputs) -> None:
    for kind in ("retrain", "loop"):
        with pytest.raises(UserError, match="trained btv on hrnet_w18_small, the config has btv on hrnet_w48"):
            make_inputs(kind=kind, changes=["net.backbone=hrnet_w48"])


def test_a_schedule_with_a_pool_that_the_run_never_froze_is_refused(make_inputs: MakeInputs) -> None:
    longer = ["rounds.train.num_epochs=2", "rounds.p0.step=0.15", "rounds.p0.every_epochs=1"]
    with pytest.raises(UserError, match=r"round 1 froze no pool at p0 0\.80, only at 0\.95: take the run.s own"):
        make_inputs(changes=longer)


def test_a_round_that_was_never_mined_is_refused(make_inputs: MakeInputs) -> None:
    with pytest.raises(UserError, match="no finished pools of round 2: finish it"):
        make_inputs(round_number=2)


def test_a_folder_of_another_sweep_is_refused(make_inputs: MakeInputs) -> None:
    make_inputs()
    make_inputs(changes=["resources.infer.stall_s=60"])  # resources may differ
    with pytest.raises(UserError, match=r"another sweep \(sweep of paper_grid on round 1 of .*, now sweep of loss on "):
        make_inputs("loss")
    with pytest.raises(UserError, match=r"was begun as another sweep \(seed: 0, now 7\): give the same"):
        make_inputs(changes=["seed=7"])
    with pytest.raises(UserError, match=r"a trial retrains on .*, now .*a trial trains on the annotated images"):
        make_inputs(kind="stage1")


def test_a_round_is_retrained_on_the_archive_as_its_chapter_read_it(make_inputs: MakeInputs, mined: Path) -> None:
    inputs = make_inputs()
    assert inputs.read_by_round.versions() == inputs.archive.versions()
    later = Chapter(mined, 2)  # begins with round 2
    pin = RunFolder(mined).archive_pin.result()
    newer = {**pin.versions, "reports": 7}
    try:
        later.archive_pin.once(lambda _: Written(replace(pin, versions=newer, first_round=2)))
        assert replace(inputs, round_number=2).read_by_round.versions() == newer
        assert inputs.read_by_round.versions() == pin.versions
    finally:
        later.archive_pin.reopen()


def test_masks_are_judged_at_the_threshold_that_was_chosen_for_the_model(make_inputs: MakeInputs) -> None:
    inputs = make_inputs("masks")
    assert inputs.config.infer.refine.mask_threshold == MASK_THRESHOLD
    assert inputs.config.froc.regions == "mask"
    assert inputs.base.froc.regions == "map"


def test_equal_settings_have_one_place_whatever_their_order(tmp_path: Path) -> None:
    one = place_of(tmp_path, {"loss.alpha": 0.5, "loss.gamma": 2, "loss.mask_labels": "soft"})
    assert one == place_of(tmp_path, {"loss.mask_labels": "soft", "loss.gamma": 2.0, "loss.alpha": 0.5})
    others = [
        {"loss.alpha": 0.5},
        {"loss.report_weights": True},
        {"loss.report_weights": 1},
        {"loss.mask_labels": "hard"},
    ]
    assert len({place_of(tmp_path, other).folder for other in others} | {one.folder}) == 5


@pytest.mark.parametrize(("kind", "expected"), [("stage1", 1), ("retrain", 4), ("loop", 2), ("refine", 0)])
def test_how_many_values_a_trial_gives(make_inputs: MakeInputs, kind: str, expected: int) -> None:
    space = Space({"loss.alpha": Choice((0.5,)), "infer.refine.mask_threshold": Choice((0.5,))}, grid=True)
    inputs = make_inputs(space, kind=kind, changes=["rounds.train.num_epochs=4", "rounds.p0.step=0"])
    assert num_steps(inputs, {}) == expected
    assert num_steps(inputs, {"rounds.train.num_epochs": -1}) == 0


@pytest.mark.parametrize(
    ("resources", "expected"),
    [({"CPU": 12.0}, 8), ({"CPU": 5.0}, 3), ({"CPU": 0.5}, 1), ({"CPU": 12.0, "GPU": 2.0}, 8)],
)
def test_as_many_trials_run_at_once_as_the_cluster_holds(
    config: RunConfig, resources: dict[str, float], expected: int
) -> None:
    assert side_by_side(config, resources=resources) == expected
    assert shared_out(config, trains=True, concurrent=0, resources=resources)[1] == expected
    assert shared_out(config, trains=True, concurrent=1, resources=resources) == (config, 1)


def test_the_scarcest_resource_bounds_the_trials_at_once(config: RunConfig) -> None:
    on_gpus = resolve(config, settings=["resources.train.num_workers=2", "resources.train.gpus=1"])
    assert side_by_side(on_gpus, resources={"CPU": 64.0, "GPU": 6.0}) == 3


@pytest.mark.parametrize(("concurrent", "gpus"), [(2, 1.0), (4, 0.5), (7, 0.25), (8, 0.25)])
def test_where_more_are_wanted_they_share_gpus_by_halves_and_quarters(
    config: RunConfig, concurrent: int, gpus: float
) -> None:
    on_gpus = resolve(
        config,
        settings=["resources.train={gpus: 1, cpus: 4}", "resources.infer={predictor_gpus: 0.5, predictor_cpus: 1}"],
    )
    shared, at_once = shared_out(on_gpus, trains=True, concurrent=concurrent, resources={"CPU": 32.0, "GPU": 2.0})
    assert (shared.resources.train.gpus, at_once) == (gpus, concurrent)
    assert side_by_side(shared, resources={"CPU": 32.0, "GPU": 2.0}) >= concurrent


def test_more_than_can_share_are_refused(config: RunConfig) -> None:
    on_gpus = resolve(config, settings=["resources.train={gpus: 1, cpus: 4}"])
    with pytest.raises(UserError, match="--concurrent 9: 2 trials fit on the cluster's 32 CPUs and 2 GPUs"):
        shared_out(on_gpus, trains=True, concurrent=9, resources={"CPU": 32.0, "GPU": 2.0})


def test_trials_without_a_training_take_the_cpus_of_a_predictor(config: RunConfig) -> None:
    assert shared_out(config, trains=False, concurrent=0, resources={"CPU": 4.0}) == (config, 8)
    assert shared_out(config, trains=False, concurrent=3, resources={"CPU": 4.0}) == (config, 3)


@pytest.mark.parametrize(
    ("error", "ends", "reason"),
    [
        (machine_fault(FULL), True, "no space is left"),
        (machine_fault(MEMORY), False, "there is not enough memory"),
        (machine_fault(KILLED), False, "a process was killed or lost"),
        (
            ConfigError("loss.alpha: expected at most 1, found 2\nloss.gamma: wrong"),
            False,
            "found 2; loss.gamma: wrong",
        ),
        (RuntimeError("Traceback\n  File x\nCUDA out of memory"), False, "RuntimeError: CUDA out of memory"),
        (RuntimeError(""), False, "RuntimeError: "),
    ],
)
def test_whose_an_error_is(error: Exception, ends: bool, reason: str) -> None:
    assert ends_the_sweep(error) is ends
    assert reason in reason_of(error)
    assert "\n" not in reason_of(error)


def test_a_database_that_fails_in_the_midst_is_the_machines_fault_without_its_password() -> None:
    error = OperationalError("SELECT 1", {}, Exception("postgresql://me:secret@host/db"))
    with pytest.raises(MachineFault, match="the database of --storage cannot be used") as fault, in_words(of_url=True):
        raise error
    assert "secret" not in str(fault.value)
    with pytest.raises(ModuleNotFoundError), in_words(of_url=False):
        raise ModuleNotFoundError("no module of ours is a database's")


@pytest.mark.parametrize(
    ("plan", "kind", "words"),
    [
        (SweepPlan(1, stop_early=True), "refine", "--stop-early ends trainings"),
        (SweepPlan(1, stop_early=True, objectives=("sensitivity", "seconds")), "retrain", "with two objectives"),
        (SweepPlan(1, seeds=3), "refine", "--confirm trains anew"),
    ],
)
def test_what_does_not_go_together_is_refused(plan: SweepPlan, kind: str, words: str) -> None:
    with pytest.raises(UserError, match=words):
        check_plan(plan, kind=kind)


def test_sensitivity_is_always_looked_for_and_comes_first() -> None:
    assert objectives_of([]) == objectives_of(["sensitivity"]) == ("sensitivity",)
    assert objectives_of(["seconds"]) == objectives_of(["seconds", "sensitivity"]) == ("sensitivity", "seconds")
    with pytest.raises(UserError, match="--objective 'speed' is none; choose sensitivity or seconds"):
        objectives_of(["speed"])


def test_what_an_earlier_sweep_of_the_same_run_measured_is_known(make_inputs: MakeInputs, tmp_path: Path) -> None:
    inputs = make_inputs(ALPHA)
    (inputs.out / "sweep.yaml").rename(tmp_path / "sweep.yaml")  # of an earlier sweep, in the folder above
    for alpha, mean in ((0.2, 0.4), (0.4, 0.6), (0.95, 0.9)):
        finish(place_of(tmp_path, {"loss.alpha": alpha}), {"loss.alpha": alpha}, mean)
    finish(place_of(tmp_path, {"loss.alpha": 0.3}), {"loss.alpha": 0.3}, 0.8, stopped_after=1)
    inputs = make_inputs(ALPHA)
    study = open_study(inputs.out)
    warm_start(study, tmp_path, inputs, ALPHA)
    assert sorted((trial.params["loss.alpha"], trial.value) for trial in study.trials) == [(0.2, 0.4), (0.4, 0.6)]
    assert begun(study) == []  # they are no trials of this sweep


def test_of_a_sweep_with_other_settings_the_best_are_tried_first(make_inputs: MakeInputs, tmp_path: Path) -> None:
    inputs = make_inputs(ALPHA, changes=["seed=3"])
    (inputs.out / "sweep.yaml").rename(tmp_path / "sweep.yaml")
    for number in range(7):
        setting = {"loss.alpha": 0.1 + 0.1 * number}
        finish(place_of(tmp_path, setting), setting, 0.1 * number)
    inputs = make_inputs(ALPHA)
    study = open_study(inputs.out)
    warm_start(study, tmp_path, inputs, ALPHA)
    waiting = [trial.system_attrs["fixed_params"]["loss.alpha"] for trial in study.trials]
    assert waiting == pytest.approx([0.7, 0.6, 0.5, 0.4, 0.3])


def test_a_warm_start_from_what_is_no_sweep_or_knows_nothing_is_refused(
    make_inputs: MakeInputs, tmp_path: Path
) -> None:
    inputs = make_inputs(ALPHA)
    study = open_study(inputs.out)
    with pytest.raises(UserError, match=r"there is no sweep\.yaml: name the folder of an earlier sweep"):
        warm_start(study, tmp_path, inputs, ALPHA)
    (tmp_path / "sweep.yaml").write_text("# sweep\n")
    with pytest.raises(UserError, match="none of its finished trials lies in this space"):
        warm_start(study, tmp_path, inputs, ALPHA)


def test_settings_are_enqueued_once_also_by_a_second_driver(tmp_path: Path) -> None:
    settings = [{"loss.alpha": 0.25}, {"loss.alpha": 0.5}]
    for _ in range(2):
        enqueue(open_study(tmp_path), settings)
    assert len(open_study(tmp_path).trials) == 2
