"""A sweep on a tiny finished run: what is tried, in which order, what is kept, what is refused."""

import csv
import json
import math
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest
import torch

from pipelines.cluster import side_by_side
from pipelines.experiments import sweep
from pipelines.experiments.trials import (
    SETTINGS,
    Trial,
    ranked,
    read_trials,
    read_unfinished,
    trial_folder,
    trial_name,
    trial_result,
    trial_system,
)
from system.archive import Archive
from system.config import RunConfig, resolve
from system.errors import UserError
from system.methods import METHODS
from system.nets import ModelCard, write_model
from system.presets import demo
from system.records import Quadrant, Split, image_key
from system.run.folder import RunFolder
from system.run.results import TrainResult, TrialResult
from system.run.stage import Written
from tests.chaos.victims import left_of
from tests.pipelines.fixture_types import MakeArchive
from tests.pipelines.tools.by_hand import mine_by_hand, train_result
from tune_spaces import SPACES, Grid, Range, Search, Setting

SETTINGS_OF_TEST = [
    "strong_share=1.0",
    "resources.train.cpus=1",
    "rounds.train.num_epochs=1",
    "rounds.p0.start=0.95",
    "rounds.train.steps_per_epoch=1",
    "rounds.train.batch_size=2",
    "rounds.train.negatives_per_positive=1",
    "infer.batch_pairs=2",
    "resources.infer.num_predictors=1",
    "resources.infer.decode_cpus=1.0",
    "resources.infer.predictor_cpus=0.5",
    "froc={bootstrap: 10, min_lesion_px: 4, min_candidate_px: 4}",
]


@pytest.fixture(scope="module")
def config() -> RunConfig:
    return resolve(demo(), settings=SETTINGS_OF_TEST).of_run()


@pytest.fixture(scope="module")
def archive(tmp_path_factory: pytest.TempPathFactory, make_archive: MakeArchive) -> Archive:
    """Three patients annotated, two for validation, one known by their report alone."""
    splits = {
        "a": Split.STRONG,
        "b": Split.STRONG,
        "c": Split.STRONG,
        "d": Split.VALIDATION,
        "e": Split.VALIDATION,
        "f": Split.WEAK,
    }
    return make_archive(tmp_path_factory.mktemp("sweep-archive"), splits)


@pytest.fixture(scope="module")
def mined(tmp_path_factory: pytest.TempPathFactory, archive: Archive, config: RunConfig) -> Path:
    """A run whose stage 1 is an untrained network and whose first pool holds one FN and one FP."""
    run = RunFolder(tmp_path_factory.mktemp("sweep-run"))

    def model(attempt: Path) -> Written[TrainResult]:
        torch.manual_seed(1)
        card = ModelCard(method="btv", net=config.net.model_dump(), height_px=64, width_px=64, classifies=False)
        write_model(attempt, METHODS["btv"].build(config.net).state_dict(), card)
        return Written(train_result(), files=[attempt / "model.json", attempt / "model.safetensors"])

    run.pin(archive.uri)
    run.stage1.checkpoint.once(model)
    pool = [
        {
            "image_key": image_key("fL"),
            "image_id": "fL",
            "quadrant": Quadrant.FN,
            "p_mass": 0.99,
            "score": 0.0,
            "disputed": False,
        },
        {
            "image_key": image_key("fR"),
            "image_id": "fR",
            "quadrant": Quadrant.FP,
            "p_mass": 0.01,
            "score": 0.6,
            "disputed": False,
        },
    ]
    mine_by_hand(run.round(1).pools, {0.95: pool})
    return run.path


def finish_trial(out: Path, settings: Setting, *, mean: float) -> None:
    trial_result(out, settings).once(lambda _: Written(TrialResult(dict(settings), mean, (0.0, 1.0), {"0.1": mean})))


@pytest.mark.ray
@pytest.mark.slow
def test_two_trials_are_ranked_written_and_not_repeated(  # the fixtures, and what they are made of
    ray_cluster: Path,
    mined: Path,
    archive: Archive,
    config: RunConfig,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    points = ({"loss.alpha": 0.25, "loss.gamma": 2.0}, {"loss.alpha": 0.75, "loss.gamma": 1.0})
    monkeypatch.setitem(SPACES["btv"], "two", Grid(points))
    # One trial at a time: fewer processes that import torch.
    config = resolve(config, settings=["resources.infer.decode_cpus=4"])
    trials = sweep.run(mined, archive.uri, tmp_path, space="two", config=config)
    assert sorted(trial.folder for trial in trials) == sorted(f"trials/{trial_name(point)}" for point in points)
    assert trials == ranked(trials)
    rows = list(csv.DictReader((tmp_path / "results.csv").read_text(encoding="utf8").splitlines()))
    assert [float(row["loss.alpha"]) for row in rows] == [trial.settings["loss.alpha"] for trial in trials]
    assert [row["mean"] for row in json.loads((tmp_path / "results.json").read_text())] == [
        trial.mean for trial in trials
    ]
    best = resolve(demo(), text=(tmp_path / "best.yaml").read_text(encoding="utf8"))
    assert (best.loss.alpha, best.loss.gamma) == (trials[0].settings["loss.alpha"], trials[0].settings["loss.gamma"])
    samples = trial_system(tmp_path, points[1]).checkpoint.result().last_epoch.samples
    assert (samples["FN"], samples["FP"], samples["STRONG_MASS"]) == (1, 1, 3)

    monkeypatch.setattr(sweep, "trainable", lambda inputs: pytest.fail("a finished trial was run again"))
    assert sweep.run(mined, archive.uri, tmp_path, space="two", config=config) == trials


def test_config_of_another_backbone_is_refused(
    mined: Path, archive: Archive, config: RunConfig, tmp_path: Path
) -> None:
    other = resolve(config, settings=["net.backbone=hrnet_w48"])
    with pytest.raises(UserError, match="trained btv on hrnet_w18_small, the config has btv on hrnet_w48"):
        sweep.run(mined, archive.uri, tmp_path, space="paper_grid", config=other)


def test_schedule_with_a_pool_that_the_run_never_froze_is_refused(
    mined: Path, archive: Archive, config: RunConfig, tmp_path: Path
) -> None:
    longer = resolve(config, settings=["rounds.train.num_epochs=2", "rounds.p0.step=0.15", "rounds.p0.every_epochs=1"])
    with pytest.raises(UserError, match=r"round 1 froze no pool at p0 0\.80, only at 0\.95: take the run.s own"):
        sweep.run(mined, archive.uri, tmp_path, space="paper_grid", config=longer)


def test_round_that_was_never_mined_is_refused(
    mined: Path, archive: Archive, config: RunConfig, tmp_path: Path
) -> None:
    with pytest.raises(UserError, match="no finished pools of round 2: finish it"):
        sweep.run(mined, archive.uri, tmp_path, space="paper_grid", config=config, round_number=2)


def test_folder_of_another_sweep_is_refused(
    mined: Path, archive: Archive, config: RunConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sweep, "run_trials", lambda *_, **__: 0)
    finish_trial(tmp_path, {"loss.alpha": 0.25}, mean=0.5)
    sweep.run(mined, archive.uri, tmp_path, space="paper_grid", config=config)
    with pytest.raises(UserError, match=r"another sweep \(sweep of paper_grid on round 1 of .*, now sweep of loss on "):
        sweep.run(mined, archive.uri, tmp_path, space="loss", config=config)
    other = resolve(config, settings=["seed=7", "resources.infer.stall_s=60"])
    with pytest.raises(UserError, match=r"was begun as another sweep \(seed: 0, now 7\): give the same"):
        sweep.prepare(mined, archive.uri, tmp_path, space="paper_grid", config=other)


@pytest.mark.ray
@pytest.mark.slow
def test_a_stopped_sweep_ends_with_130_and_one_sentence_and_writes_no_result(
    ray_environment: Mapping[str, str], mined: Path, archive: Archive, tmp_path: Path
) -> None:
    settings = [word for setting in SETTINGS_OF_TEST for word in ("--set", setting)]
    words = ["--run", str(mined), "--archive", archive.uri, "--out", str(tmp_path / "out"), "--preset", "demo"]
    driver = subprocess.Popen(
        [sys.executable, "-m", "pipelines", "sweep", *words, *settings],
        env=dict(ray_environment),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    while not list(tmp_path.glob(f"out/trials/*/{SETTINGS}")):  # a trial has begun
        assert driver.poll() is None, driver.communicate()
        time.sleep(0.1)
    driver.send_signal(signal.SIGINT)
    out, err = driver.communicate(timeout=120)
    sentence = "mammoloop: stopped in the sweep, 0 of 9 trials done (Ctrl-C): start the same command again, it goes on"
    assert (driver.returncode, err.splitlines()[-1]) == (130, sentence)
    assert "Traceback" not in err
    assert "restore" not in err + out  # Tune's own advice
    assert not list(tmp_path.glob("out/results.*")) + list(tmp_path.glob("out/best.yaml"))
    assert left_of(driver.pid, within_s=60) == []


def test_sweep_whose_trials_all_failed_is_reported(
    mined: Path, archive: Archive, config: RunConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sweep, "run_trials", lambda *_, **__: 9)
    with pytest.raises(sweep.TrialsFailed, match="all 9 trials failed"):
        sweep.run(mined, archive.uri, tmp_path, space="paper_grid", config=config)


@pytest.mark.parametrize(
    ("resources", "expected"),
    [({"CPU": 12.0}, 8), ({"CPU": 5.0}, 3), ({"CPU": 0.5}, 1), ({"CPU": 12.0, "GPU": 2.0}, 8)],
)
def test_as_many_trials_run_at_once_as_the_cluster_holds(
    config: RunConfig, resources: dict[str, float], expected: int
) -> None:
    assert side_by_side(config, resources=resources) == expected


def test_scarcest_resource_bounds_the_trials_at_once(config: RunConfig) -> None:
    on_gpus = resolve(config, settings=["resources.train.num_workers=2", "resources.train.gpus=1"])
    assert side_by_side(on_gpus, resources={"CPU": 64.0, "GPU": 6.0}) == 3


def test_same_setting_in_another_order_is_the_same_trial() -> None:
    assert trial_name({"loss.alpha": 0.5, "loss.gamma": 2}) == trial_name({"loss.gamma": 2.0, "loss.alpha": 0.5})
    assert trial_name({"loss.alpha": 0.5}) != trial_name({"loss.alpha": 0.25})


def test_best_trial_comes_first_and_one_without_a_value_last() -> None:
    trials = [
        Trial({}, mean, (0.0, 1.0), {}, name) for name, mean in (("a", math.nan), ("b", 0.2), ("c", 0.7), ("d", 0.2))
    ]
    assert [trial.folder for trial in ranked(trials)] == ["c", "b", "d", "a"]


def test_begun_trial_is_unfinished_until_its_result_is_there(tmp_path: Path) -> None:
    setting = {"loss.alpha": 0.5}
    trial_folder(tmp_path, setting).mkdir(parents=True)
    (trial_folder(tmp_path, setting) / SETTINGS).write_text(json.dumps(setting))
    assert read_unfinished(tmp_path) == [setting]
    finish_trial(tmp_path, setting, mean=0.5)
    assert read_unfinished(tmp_path) == []
    assert [trial.mean for trial in read_trials(tmp_path)] == [0.5]


def searched(space: Search, *, done: Sequence[Trial], unfinished: Sequence[Setting], num: int) -> list[Setting]:
    """Return what a search tries next."""
    searcher = sweep.make_searcher(space, done=done, unfinished=[dict(each) for each in unfinished], seed=0)
    suggested = [searcher.suggest(f"trial{number}") for number in range(num)]
    return [each for each in suggested if each is not None]


def test_search_goes_on_with_the_unfinished_then_the_known_then_draws_inside_its_ranges() -> None:
    space = Search({"loss.alpha": Range(0.1, 0.9)}, num_trials=5, first=({"loss.alpha": 0.25}, {"loss.alpha": 0.3}))
    done = [Trial({"loss.alpha": 0.3}, 0.6, (0.0, 1.0), {}, "x")]
    first, second, third = searched(space, done=done, unfinished=[{"loss.alpha": 0.7}], num=3)
    assert (first, second) == ({"loss.alpha": 0.7}, {"loss.alpha": 0.25})
    assert 0.1 <= third["loss.alpha"] <= 0.9
    assert third["loss.alpha"] not in (0.7, 0.25, 0.3)


def test_finished_trials_are_known_to_the_search() -> None:
    space = Search({"loss.alpha": Range(0.1, 0.9)}, num_trials=5)
    done = [Trial({"loss.alpha": value}, value, (0.0, 1.0), {}, "x") for value in (0.2, 0.4, 0.8)]
    searcher = sweep.make_searcher(space, done=done, unfinished=[], seed=0)
    assert searcher._ot_study is not None  # Ray gives no other access to Optuna's study
    assert searcher._ot_study.best_params == {"loss.alpha": 0.8}
