"""A sweep on a tiny finished run: what is tried, in which order, what is kept, what is refused."""

import csv
import json
import math

import pyarrow as pa
import pytest
import torch

from pipelines.cluster import side_by_side
from pipelines.experiments import sweep
from pipelines.experiments.trials import SETTINGS, Trial, ranked, read_trials, read_unfinished, trial_folder, trial_name
from system.config import resolve
from system.methods import METHODS
from system.metrics import FrocConfig
from system.schemas import POOL
from system.nets import ModelCard, write_model
from system.presets import PRESETS
from system.records import Quadrant, Split, image_key
from system.run.stage import Stage
from tune_spaces import SPACES, Grid, Range, Search

SETTINGS_OF_TEST = [
    "strong_share=1.0",
    "cluster.train_cpus=1",
    "rounds.train.num_epochs=1",
    "rounds.p0.start=0.95",
    "rounds.train.steps_per_epoch=1",
    "rounds.train.batch_size=2",
    "rounds.train.negatives_per_positive=1",
    "infer.batch_pairs=2",
    "infer.num_predictors=1",
    "infer.decode_cpus=1.0",
    "infer.predictor_cpus=0.5",
]


@pytest.fixture(scope="module")
def config():
    base = resolve(PRESETS["demo"](), settings=SETTINGS_OF_TEST)
    return base.model_copy(update={"froc": FrocConfig(bootstrap=10, min_lesion_px=4, min_candidate_px=4)})


@pytest.fixture(scope="module")
def archive(tmp_path_factory, make_archive):
    """Three women annotated, two for validation, one known by her report alone."""
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
def finished_run(tmp_path_factory, archive, config):
    """A run whose stage 1 is an untrained network and whose first pool holds one FN and one FP."""
    folder = tmp_path_factory.mktemp("sweep-run")

    def model(attempt):
        torch.manual_seed(1)
        card = ModelCard(method="btv", net=config.net.model_dump(), height_px=64, width_px=64, classifies=False)
        write_model(attempt, METHODS["btv"].build(config.net).state_dict(), card)
        return [attempt / "model.json", attempt / "model.safetensors"], {}

    def pools(attempt):
        columns = {
            "image_key": [image_key("fL"), image_key("fR")],
            "image_id": ["fL", "fR"],
            "quadrant": [Quadrant.FN, Quadrant.FP],
        }
        columns |= {"y": [0.99, 0.01], "score": [0.0, 0.6], "map_png": [None, None], "mask_png": [None, None]}
        path = attempt / "pool_p0_0.95.arrow"
        with pa.OSFile(str(path), "wb") as file, pa.ipc.new_file(file, POOL) as writer:
            writer.write_table(pa.table(columns, schema=POOL))
        return [path], {}

    Stage(folder, "archive").once(lambda _: ([], {"archive_versions": archive.versions()}))
    Stage(folder, "stage1/checkpoint").once(model)
    Stage(folder, "round_01/pools").once(pools)
    return folder


def finish_trial(out, settings, *, mean):
    Stage(trial_folder(out, settings), "result").once(
        lambda _: (
            [],
            {"config": settings, "metrics": {"mean": mean, "interval": [0.0, 1.0], "sensitivity": {"0.1": mean}}},
        )
    )


@pytest.mark.ray
@pytest.mark.slow
def test_two_trials_are_ranked_written_and_not_repeated(
    ray_cluster, finished_run, archive, config, tmp_path, monkeypatch
):
    points = ({"loss.alpha": 0.25, "loss.gamma": 2.0}, {"loss.alpha": 0.75, "loss.gamma": 1.0})
    monkeypatch.setitem(SPACES["btv"], "two", Grid(points))
    config = resolve(config, settings=["infer.decode_cpus=4"])  # one trial at a time: fewer processes that import torch
    trials = sweep.run(finished_run, archive.uri, tmp_path, space="two", config=config)
    assert sorted(trial.folder for trial in trials) == sorted(f"trials/{trial_name(point)}" for point in points)
    assert trials == ranked(trials)
    rows = list(csv.DictReader((tmp_path / "results.csv").read_text(encoding="utf8").splitlines()))
    assert [float(row["loss.alpha"]) for row in rows] == [trial.settings["loss.alpha"] for trial in trials]
    assert [row["mean"] for row in json.loads((tmp_path / "results.json").read_text())] == [
        trial.mean for trial in trials
    ]
    best = resolve(PRESETS["demo"](), text=(tmp_path / "best.yaml").read_text(encoding="utf8"))
    assert (best.loss.alpha, best.loss.gamma) == (trials[0].settings["loss.alpha"], trials[0].settings["loss.gamma"])
    taught = json.loads((trial_folder(tmp_path, points[1]) / "checkpoint" / "manifest.json").read_text())["metrics"][
        "last_epoch"
    ]["samples"]
    assert (taught["FN"], taught["FP"], taught["STRONG_MASS"]) == (1, 1, 3)

    monkeypatch.setattr(sweep, "_trainable", lambda frozen: pytest.fail("a finished trial was run again"))
    assert sweep.run(finished_run, archive.uri, tmp_path, space="two", config=config) == trials


def test_config_of_another_backbone_is_refused(finished_run, archive, config, tmp_path):
    other = config.model_copy(update={"net": config.net.model_copy(update={"backbone": "hrnet_w48"})})
    with pytest.raises(ValueError, match="trained btv on hrnet_w18_small, the config says btv on hrnet_w48"):
        sweep.run(finished_run, archive.uri, tmp_path, space="paper_grid", config=other)


def test_schedule_that_asks_for_a_pool_the_run_never_froze_is_refused(finished_run, archive, config, tmp_path):
    longer = resolve(config, settings=["rounds.train.num_epochs=2", "rounds.p0.step=0.15", "rounds.p0.every_epochs=1"])
    with pytest.raises(ValueError, match=r"froze no pool at p0 0\.80 in round 1: take the run.s preset and settings"):
        sweep.run(finished_run, archive.uri, tmp_path, space="paper_grid", config=longer)


def test_round_that_was_never_mined_is_refused(finished_run, archive, config, tmp_path):
    with pytest.raises(ValueError, match="no finished pools of round 2: finish it"):
        sweep.run(finished_run, archive.uri, tmp_path, space="paper_grid", config=config, round_number=2)


def test_folder_of_another_sweep_is_refused(finished_run, archive, config, tmp_path, monkeypatch):
    monkeypatch.setattr(sweep, "_tune", lambda *_, **__: 0)
    finish_trial(tmp_path, {"loss.alpha": 0.25}, mean=0.5)
    sweep.run(finished_run, archive.uri, tmp_path, space="paper_grid", config=config)
    with pytest.raises(ValueError, match="holds a sweep of something else"):
        sweep.run(finished_run, archive.uri, tmp_path, space="loss", config=config)


def test_sweep_whose_trials_all_failed_says_so(finished_run, archive, config, tmp_path, monkeypatch):
    monkeypatch.setattr(sweep, "_tune", lambda *_, **__: 9)
    with pytest.raises(RuntimeError, match="all 9 trials failed"):
        sweep.run(finished_run, archive.uri, tmp_path, space="paper_grid", config=config)


@pytest.mark.parametrize(
    ("resources", "expected"),
    [({"CPU": 12.0}, 8), ({"CPU": 5.0}, 3), ({"CPU": 0.5}, 1), ({"CPU": 12.0, "GPU": 2.0}, 8)],
)
def test_as_many_trials_run_at_once_as_the_cluster_holds(config, resources, expected):
    assert side_by_side(config, resources=resources) == expected


def test_scarcest_resource_bounds_the_trials_at_once(config):
    on_gpus = config.model_copy(
        update={"cluster": config.cluster.model_copy(update={"num_train_workers": 2, "train_gpus": 1.0})}
    )
    assert side_by_side(on_gpus, resources={"CPU": 64.0, "GPU": 6.0}) == 3


def test_same_setting_in_another_order_is_the_same_trial():
    assert trial_name({"loss.alpha": 0.5, "loss.gamma": 2}) == trial_name({"loss.gamma": 2.0, "loss.alpha": 0.5})
    assert trial_name({"loss.alpha": 0.5}) != trial_name({"loss.alpha": 0.25})


def test_best_trial_comes_first_and_one_without_a_value_last():
    trials = [
        Trial({}, mean, (0.0, 1.0), {}, name) for name, mean in (("a", math.nan), ("b", 0.2), ("c", 0.7), ("d", 0.2))
    ]
    assert [trial.folder for trial in ranked(trials)] == ["c", "b", "d", "a"]


def test_begun_trial_is_unfinished_until_its_result_is_there(tmp_path):
    setting = {"loss.alpha": 0.5}
    trial_folder(tmp_path, setting).mkdir(parents=True)
    (trial_folder(tmp_path, setting) / SETTINGS).write_text(json.dumps(setting))
    assert read_unfinished(tmp_path) == [setting]
    finish_trial(tmp_path, setting, mean=0.5)
    assert read_unfinished(tmp_path) == []
    assert [trial.mean for trial in read_trials(tmp_path)] == [0.5]


def test_search_goes_on_with_the_unfinished_then_the_known_then_draws_inside_its_ranges():
    space = Search({"loss.alpha": Range(0.1, 0.9)}, num_trials=5, first=({"loss.alpha": 0.25}, {"loss.alpha": 0.3}))
    done = [Trial({"loss.alpha": 0.3}, 0.6, (0.0, 1.0), {}, "x")]
    searcher = sweep._searcher(space, done=done, unfinished=[{"loss.alpha": 0.7}], seed=0)
    asked = [searcher.suggest(f"trial{number}") for number in range(3)]
    assert asked[:2] == [{"loss.alpha": 0.7}, {"loss.alpha": 0.25}]
    assert asked[2] is not None
    assert 0.1 <= asked[2]["loss.alpha"] <= 0.9
    assert asked[2]["loss.alpha"] not in (0.7, 0.25, 0.3)


def test_finished_trials_are_known_to_the_search():
    space = Search({"loss.alpha": Range(0.1, 0.9)}, num_trials=5)
    done = [Trial({"loss.alpha": value}, value, (0.0, 1.0), {}, "x") for value in (0.2, 0.4, 0.8)]
    searcher = sweep._searcher(space, done=done, unfinished=[], seed=0)
    assert searcher._ot_study is not None
    assert searcher._ot_study.best_params == {"loss.alpha": 0.8}
