"""Sweeps on a tiny finished run, of each kind: tried, ranked, written, stopped, gone on with, confirmed."""

import csv
import json
import re
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path

import optuna
import pytest
import ray
from optuna.trial import TrialState

from pipelines.sweep import run as sweep
from pipelines.sweep import tuning
from pipelines.sweep.places import place_of
from pipelines.sweep.run import SweepPlan, TrialsFailed
from pipelines.sweep.study import open_study
from system.archive import Archive
from system.config import resolve
from system.presets import demo
from system.run.folder import RunFolder
from tests.chaos.victims import left_of
from tests.pipelines.sweep.conftest import MASK_THRESHOLD, SETTINGS_OF_TEST, MakeInputs
from tune_spaces import Choice, Range, Space, fitted

THREE = Space(
    {
        "rounds.train.learning_rate": Choice((1e-4, 1e30)),
        "loss.alpha": Choice((0.25, 0.75)),
    },
    only_if={"loss.alpha": {"rounds.train.learning_rate": (1e-4,)}},
    grid=True,
)
GOOD, BAD = {"rounds.train.learning_rate": 1e-4}, {"rounds.train.learning_rate": 1e30}


def no_work(_: object) -> None:
    pytest.fail("a finished trial was run again")


def free_cpus() -> float:
    return ray.available_resources().get("CPU", 0.0)


@pytest.mark.ray
@pytest.mark.slow
def test_a_grid_is_ranked_and_confirmed_a_failed_trial_is_recorded_test_is_looked_at_once_and_nothing_done_twice(
    ray_cluster: Path, make_inputs: MakeInputs, monkeypatch: pytest.MonkeyPatch
) -> None:
    inputs = make_inputs(
        THREE,
        changes=["rounds.train.max_bad_steps=1", "rounds.train.steps_per_epoch=4", "rounds.train.gradient_norm=0"],
    )
    plan = SweepPlan(3, seeds=1, best=2, final=True, concurrent=2)
    found = sweep.run(inputs, THREE, plan)
    assert [(trial.setting, trial.state) for trial in found.trials] == [
        ({**GOOD, "loss.alpha": 0.25}, "done"),
        ({**GOOD, "loss.alpha": 0.75}, "done"),
        (BAD, "failed"),
    ]
    assert "finite" in found.trials[2].reason
    rows = list(csv.DictReader((inputs.out / "results.csv").read_text(encoding="utf8").splitlines()))
    assert [row["loss.alpha"] for row in rows] == ["0.25", "0.75", ""]
    assert [row["reason"] for row in rows] == ["", "", found.trials[2].reason]
    assert [float(row["mean"]) for row in rows[:2]] == [trial.mean for trial in found.trials[:2]]
    written = json.loads((inputs.out / "results.json").read_text())
    assert [each["number"] for each in written["trials"]] == [0, 1, 2]
    best = resolve(demo(), text=(inputs.out / "best.yaml").read_text(encoding="utf8"))
    assert best.loss.alpha == found.winner.setting["loss.alpha"]
    counts = place_of(inputs.out, found.trials[1].setting).system.checkpoint.result().last_epoch.samples
    assert (counts["FN"], counts["FP"], counts["STRONG_MASS"]) == (1, 1, 3)
    assert len(found.trials[0].values) == 1  # the mean sensitivity after the only epoch
    assert "The best against the start" in (inputs.out / "page.html").read_text(encoding="utf8")

    # Both with a fresh seed: another one trains another model.
    assert [len(row.each) for row in found.confirmed] == [1, 1]
    models = [path.read_bytes() for path in inputs.out.glob("confirm/*/seed_*/checkpoint/*/model.safetensors")]
    models += [path.read_bytes() for path in inputs.out.glob("trials/*/checkpoint/*/model.safetensors")]
    assert len(set(models)) == len(models) == 4
    assert found.final is not None
    assert (found.final.num_models, found.final.num_patients) == (1, 1)
    assert not list(inputs.out.glob("trials/**/froc/manifest.json"))  # the search has not looked at test

    monkeypatch.setattr(tuning, "trainable", no_work)
    monkeypatch.setattr("pipelines.sweep.confirm.performing", lambda _: None)
    again = sweep.run(inputs, THREE, plan)
    assert (again.trials, again.final) == (found.trials, found.final)


@pytest.mark.ray
@pytest.mark.slow
def test_poor_trials_are_stopped_early_and_their_resources_released(ray_cluster: Path, make_inputs: MakeInputs) -> None:
    before = free_cpus()
    space = Space({"loss.alpha": Range(0.1, 0.9)}, num_trials=2)
    inputs = make_inputs(
        space, changes=["rounds.train.num_epochs=80", "rounds.p0.step=0", "resources.train.num_workers=2"]
    )
    fit = fitted(space, kind="retrain", config=inputs.config, own=True).space
    study = open_study(inputs.out)
    known = optuna.trial.create_trial(
        state=TrialState.PRUNED,
        params={"loss.alpha": 0.5},
        distributions={"loss.alpha": optuna.distributions.FloatDistribution(0.1, 0.9)},
        intermediate_values={1: 2.0},  # nobody reaches that, so that every trial is stopped after its first epoch
        system_attrs={"completed_rung_0": 2.0},
        user_attrs={"known": True},
    )
    study.add_trial(known)
    with pytest.raises(TrialsFailed, match="none of the 2 trials was finished: 2 were stopped early"):
        sweep.run(inputs, fit, SweepPlan(2, stop_early=True, concurrent=2))
    own = [trial for trial in study.get_trials() if "known" not in trial.user_attrs]
    assert [trial.state for trial in own] == 2 * [TrialState.PRUNED]
    epochs = [len(trial.intermediate_values) for trial in own]
    assert all(number < 80 for number in epochs)
    stages = [place_of(inputs.out, trial.params).result.result() for trial in own]
    assert [each.stopped_after for each in stages] == epochs
    deadline_s = time.monotonic() + 60
    while free_cpus() < before and time.monotonic() < deadline_s:
        time.sleep(0.2)
    assert free_cpus() == before
    groups = ray.util.placement_group_table().values()
    assert [group["state"] for group in groups if group["state"] != "REMOVED"] == []


@pytest.mark.ray
@pytest.mark.slow
def test_whole_rounds_are_judged_by_what_they_mine(ray_cluster: Path, make_inputs: MakeInputs, mined: Path) -> None:
    space = Space({"rounds.p0.start": Choice((0.95, 0.999))}, grid=True, kind="loop")
    inputs = make_inputs(space)
    found = sweep.run(inputs, space, SweepPlan(2))
    places = [place_of(inputs.out, trial.setting) for trial in found.trials]
    p0 = [place.run.round(1).pools.result().pools[0].p0 for place in places]
    assert p0 == [0.95, 0.999]
    weights = [place.run.stage1.checkpoint.path("model.safetensors") for place in places]
    source = RunFolder(mined).stage1.checkpoint.path("model.safetensors")
    assert all(path.samefile(source) for path in weights)  # shared: no setting changes Stage 1
    assert [len(trial.values) for trial in found.trials] == [2, 1]  # at p0 0.999 nothing is mined
    assert not list(inputs.out.glob("trials/**/froc/manifest.json"))  # test was not looked at


MASKS = """
kind: refine
trials: 16
vary:
  infer.refine.mask_threshold: {low: 0.05, high: 0.95}
"""


@pytest.mark.ray
@pytest.mark.slow
def test_a_stopped_sweep_of_masks_ends_with_130_and_goes_on_to_the_same_trials_judged_without_a_training(
    ray_environment: Mapping[str, str], mined: Path, archive: Archive, tmp_path: Path
) -> None:
    settings = [word for setting in SETTINGS_OF_TEST for word in ("--set", setting)]
    (tmp_path / "masks.yaml").write_text(MASKS)
    words = ["--run", str(mined), "--archive", archive.uri, "--out", str(tmp_path / "out"), "--preset", "demo"]
    command = [sys.executable, "-m", "pipelines", "sweep", *words, "--space", str(tmp_path / "masks.yaml"), *settings]
    command += ["--concurrent", "1", "--final"]
    driver = subprocess.Popen(
        command,
        env=dict(ray_environment),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    while len(list(tmp_path.glob("out/trials/*/result/manifest.json"))) < 3:
        assert driver.poll() is None, driver.communicate()
        time.sleep(0.05)
    driver.send_signal(signal.SIGINT)
    out, err = driver.communicate(timeout=120)
    place = (
        r"mammoloop: stopped in the sweep, \d+ of 16 trials done \(Ctrl-C\): start the same command again, it goes on"
    )
    assert driver.returncode == 130
    assert re.fullmatch(place, err.splitlines()[-1])
    assert "Traceback" not in err
    assert "restore" not in err + out  # Tune's own advice
    assert "of 16 trials ended" in (tmp_path / "out" / "page.html").read_text(encoding="utf8")
    assert left_of(driver.pid, within_s=60) == []
    study = open_study(tmp_path / "out")
    before = [(trial.number, trial.params) for trial in study.get_trials() if trial.state != TrialState.WAITING]
    assert len(before) < 16
    subprocess.run(command, env=dict(ray_environment), check=True, capture_output=True, timeout=600)
    after = study.get_trials()
    assert [trial.number for trial in after] == list(range(16))
    assert all(after[number].params.items() >= params.items() for number, params in before)  # one was being drawn
    assert [trial.state for trial in after] == 16 * [TrialState.COMPLETE]

    found = json.loads((tmp_path / "out" / "results.json").read_text())
    by_threshold = {trial["setting"]["infer.refine.mask_threshold"]: trial["mean"] for trial in found["trials"]}
    assert found["trials"][0]["setting"]["infer.refine.mask_threshold"] == MASK_THRESHOLD  # that of the model
    assert by_threshold[MASK_THRESHOLD] == pytest.approx(2 * 2 / (2 + 4 + 2))  # each of the four views has a false one
    assert all(mean == 1.0 for threshold, mean in by_threshold.items() if 0.4 < threshold < 0.75)
    assert all(mean == 0.0 for threshold, mean in by_threshold.items() if threshold > 0.85)
    assert found["final"]["num_patients"] == 1
    assert not list(tmp_path.glob("out/**/checkpoint"))
    best = resolve(demo(), text=(tmp_path / "out" / "best.yaml").read_text(encoding="utf8"))
    assert best.froc.regions == demo().froc.regions  # how trials were judged is no part of what is recommended
