"""The whole loop: what a finished run holds, and that a run that was killed ends with the undisturbed one's numbers."""

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pipelines import selftrain, train
from system.config import as_yaml, resolve
from system.errors import NotFinished
from system.files.json_out import as_json
from system.imaging import decode_png
from system.mining import read_pool
from system.records import Quadrant, Split
from system.resources import Resources
from system.rounds import Gain, promote
from system.run.folder import RunFolder
from system.run.predictions import read_predictions
from system.run.results import InferResult, TrainResult
from system.run.stage import MANIFEST, Stage, Written
from system.run.systems import System
from tests.pipelines.fixture_types import FinishedRun

pytestmark = pytest.mark.ray
PATIENCE_S = 400
OTHER_RESOURCES = [
    "resources.train.cache_images=7",
    "resources.train.checkpoint_steps=1",
    "resources.infer.calls_at_once=2",
]
"""For a restart: they differ from those of the start, and no sum is taken in another order."""


TITLES = ["supervised", "control 1", "round 1", "control 2", "round 2"]


def test_a_whole_run_trains_and_measures_stage_1_and_both_rounds_with_a_control_beside_each(
    finished_run: FinishedRun,
) -> None:
    folder = finished_run.folder
    assert [system.title for system in folder.systems()] == TITLES
    assert [this.number for this in folder.rounds()] == [1, 2]
    held_out = num_images(folder, Split.VALIDATION, Split.TEST)
    for system in folder.systems():
        found = system.froc().result()
        assert found.counts.num_images == num_images(folder, Split.TEST)
        assert found.counts.num_lesions > 0
        assert found.rules.candidate_threshold == system.thresholds.result().candidate_threshold
        assert found.mask_threshold == system.thresholds.result().mask_threshold
        assert (system.held_out.result().num_images, system.held_out.result().num_errors) == (held_out, 0)
        assert settings_of(system.held_out)["keep_maps"] == "all"
        assert settings_of(system.held_out)["refine"]["backend"] == "none"


def test_both_rounds_infer_the_weak_images_for_mining_and_pool_all_of_them(finished_run: FinishedRun) -> None:
    folder, config = finished_run.folder, finished_run.config
    for this in folder.rounds():
        assert this.predictions.result().num_images == num_images(folder, Split.WEAK) > 0
        before = folder.before(this.number)
        assert settings_of(this.predictions)["mask_threshold"] == before.thresholds.result().mask_threshold
        assert settings_of(this.predictions)["keep_maps"] == "masked"
        assert settings_of(this.predictions)["refine"] == config.infer.refine.model_dump(mode="json")
        pools = this.pools.result()
        assert pools.round == this.number
        assert [pool.p0 for pool in pools.pools] == config.rounds.p0.values(config.rounds.train.num_epochs)
        for pool in pools.pools:
            assert pool.counts.num_images == num_images(folder, Split.WEAK)
            rows = read_pool(this.pools.path(pool.file)).to_pylist()
            assert len(rows) == pool.counts.num_pooled
            assert sum(row["disputed"] for row in rows) == pool.counts.disputed
            agreed = [row for row in rows if row["quadrant"] == Quadrant.TP]
            assert len(agreed) == pool.counts.tp > 0
            assert {decode_png(row["map_png"]).dtype for row in agreed} == {np.dtype(np.uint8)}
            assert all(row["mask_png"] for row in agreed)
            assert not any(row["map_png"] for row in rows if row["quadrant"] != Quadrant.TP)


def test_a_round_trains_each_epoch_on_the_pool_of_its_p0_and_on_all_strong_images(finished_run: FinishedRun) -> None:
    folder = finished_run.folder
    strong = num_images(folder, Split.STRONG)
    for this in folder.rounds():
        rows, pools = train.epoch_rows(this.checkpoint), this.pools.result().pools
        assert [row.p0 for row in rows] == [pool.p0 for pool in pools]
        for row, pool in zip(rows, pools, strict=True):
            counts = pool.counts
            taught = counts.fp - counts.disputed  # the others are left to radiologists
            assert [row.samples[name] for name in ("TP", "FP", "FN")] == [counts.tp, taught, counts.fn]
            assert row.samples["STRONG_MASS"] + row.samples["STRONG_FREE"] == strong
    for system in (folder.stage1, folder.control(1), folder.control(2)):
        assert [row.p0 for row in train.epoch_rows(system.checkpoint)] == [0] * system.checkpoint.result().num_epochs


def test_each_control_goes_on_from_the_one_before_for_as_many_steps_as_its_round(finished_run: FinishedRun) -> None:
    folder, before = finished_run.folder, finished_run.folder.stage1
    for this in folder.rounds():
        control = folder.control(this.number)
        assert control.checkpoint.result().num_steps == this.checkpoint.result().num_steps > 0
        assert settings_of(control.checkpoint)["start"] == str(before.model)
        assert settings_of(control.checkpoint)["pools"] == {}
        before = control
    assert len({weights(system) for system in folder.systems()}) == len(TITLES)


def test_every_round_is_compared_with_the_model_that_it_went_on_from(finished_run: FinishedRun) -> None:
    folder = finished_run.folder
    for this, before in zip(folder.rounds(), (folder.stage1, folder.round(1)), strict=True):
        found = this.promotion.result()
        assert (found.promoted, found.over) == (True, before.name)  # rounds.promote is always
        means = [system.validated.result().sweep.mean for system in (this, before)]
        assert (found.gain.mean, found.gain.before) == (pytest.approx(means[0]), pytest.approx(means[1]))
        assert found.gain.difference == pytest.approx(means[0] - means[1])
        assert found.gain.interval[0] <= found.gain.difference <= found.gain.interval[1]
        assert settings_of(this.checkpoint)["start"] == str(before.model)


def test_systems_are_compared_on_validation_without_a_chosen_threshold(finished_run: FinishedRun) -> None:
    folder = finished_run.folder
    for system in folder.systems():
        found = system.validated.result()
        assert (found.split, found.rules.candidates) == ("validation", "own_peak")
        assert found.counts.num_images == num_images(folder, Split.VALIDATION)
        assert found.counts.num_lesions > 0


def test_the_result_is_the_best_system_on_validation_and_the_run_names_it(finished_run: FinishedRun) -> None:
    folder = finished_run.folder
    means = {system.title: system.validated.result().sweep.mean for system in folder.systems()}
    found = folder.chosen.result()
    assert found.validation == pytest.approx(means)
    best = next(system for system in folder.systems() if means[system.title] == max(means.values()))
    assert (found.system, found.title) == (best.name, best.title)
    assert found.reason.startswith("highest mean sensitivity on validation")
    assert folder.result() == best


def test_a_run_begun_with_one_set_of_resources_goes_on_with_another_and_does_only_what_is_missing(
    finished_run: FinishedRun, tmp_path: Path
) -> None:
    folder = copy_of(finished_run, tmp_path)
    config = finished_run.config
    other = config.changed(resources=Resources(train=config.resources.train.changed(num_workers=12, min_workers=8)))
    control = folder.control(2)
    shutil.rmtree(control.froc().folder)
    before = manifests(folder)

    systems = selftrain.run(finished_run.archive_uri, folder.path, config=other)
    assert systems == folder.systems()
    assert [system.title for system in systems] == [system.title for system in finished_run.folder.systems()]
    after = manifests(folder)
    assert {name: after[name] for name in before} == before
    assert after.keys() - before.keys() == {f"control_02/froc/{MANIFEST}"}
    assert as_json(control.froc().result()) == as_json(finished_run.folder.control(2).froc().result())
    assert folder.config().resources.train.num_workers == 12


def test_a_rounds_inference_is_done_alone_once_the_model_before_it_is_trained(
    finished_run: FinishedRun, tmp_path: Path
) -> None:
    """Whether it goes on from that model is decided first."""
    folder = copy_of(finished_run, tmp_path)
    shutil.rmtree(folder.round(2).predictions.folder)
    shutil.rmtree(folder.round(1).promotion.folder)
    found = selftrain.infer_alone(folder.path, 2, config=finished_run.config)
    assert found == folder.round(2).predictions.result()
    assert folder.round(1).promotion.result() == finished_run.folder.round(1).promotion.result()
    assert predictions(folder.round(2).predictions) == predictions(finished_run.folder.round(2).predictions)
    with pytest.raises(NotFinished, match="round 4 needs the model of round_03, which run does not have: go on with"):
        selftrain.infer_alone(folder.path, 4, config=finished_run.config)


def test_a_run_killed_between_retraining_and_promotion_goes_on_there(finished_run: FinishedRun, tmp_path: Path) -> None:
    folder, calm = copy_of(finished_run, tmp_path), finished_run.folder
    last = folder.round(2)
    missing = [last.froc(), last.validated, last.promotion, folder.chosen]
    for stage in missing:
        shutil.rmtree(stage.folder)
    before = manifests(folder)

    selftrain.run(finished_run.archive_uri, folder.path, config=finished_run.config)
    after = manifests(folder)
    assert {name: after[name] for name in before} == before
    assert after.keys() - before.keys() == {f"{stage.name}/{MANIFEST}" for stage in missing}
    assert as_json(last.promotion.result()) == as_json(calm.round(2).promotion.result())
    assert as_json(folder.chosen.result()) == as_json(calm.chosen.result())


@pytest.mark.slow
def test_after_a_round_that_was_not_promoted_the_next_goes_on_from_the_model_before_it(
    finished_run: FinishedRun, tmp_path: Path
) -> None:
    """That round 1 is no better is written by hand."""
    folder, config = copy_of(finished_run, tmp_path), finished_run.config
    for part in (folder.round(1).promotion.folder, folder.path / "round_02", folder.path / "control_02"):
        shutil.rmtree(part)
    for part in (folder.miner, folder.chosen.folder):
        shutil.rmtree(part)
    worse = Gain(mean=0.1, before=0.3, difference=-0.2, interval=(-0.3, -0.1))
    refused = promote(worse, over="stage1", config=config.rounds.changed(promote="better"))
    folder.round(1).promotion.once(lambda _: Written(refused))

    selftrain.run(finished_run.archive_uri, folder.path, config=config)
    second, stage1 = folder.round(2), folder.stage1
    assert settings_of(second.checkpoint)["start"] == str(stage1.model)
    assert second.promotion.result().over == "stage1"
    inferred, of_first = (
        {row.image_key: (row.score, row.entropy) for row in read_predictions(folder.round(number).predictions)}
        for number in (2, 1)
    )
    assert inferred == of_first  # of the same model
    assert set(folder.chosen.result().validation) == set(TITLES)


def copy_of(run: FinishedRun, place: Path) -> RunFolder:
    """Return a copy that may be written into: files are linked, and whoever changes one replaces it."""
    return RunFolder(shutil.copytree(run.folder.path, place / "run", copy_function=os.link))


def num_images(folder: RunFolder, *splits: Split) -> int:
    return sum(split in splits for split in folder.archive().table("images")["split"].to_pylist())


def settings_of(stage: Stage[Any]) -> dict[str, Any]:
    manifest = stage.manifest()
    assert manifest is not None
    return manifest.settings


def manifests(folder: RunFolder) -> dict[str, tuple[int, bytes]]:
    """Return when each manifest of the run was written, and what it holds."""
    paths = sorted(folder.path.rglob(MANIFEST))
    return {str(path.relative_to(folder.path)): (path.stat().st_mtime_ns, path.read_bytes()) for path in paths}


class Killed:
    """A run of one round like the finished one, on the same archive and with the same labels, started as one types it.

    Its commands stand in the run's parent, so that all folders are relative.
    """

    def __init__(self, calm: FinishedRun, place: Path, environment: Mapping[str, str]) -> None:
        self.place, self.environment = place, dict(environment)
        self.folder = RunFolder(place / "run")
        for part in ("labels", "archive"):
            shutil.copytree(calm.folder.path / part, self.folder.path / part)
        own = resolve(calm.config, settings=["resources.infer.decode_cpus=1"])  # its cluster has 4 logical CPUs
        (place / "settings.yaml").write_text(as_yaml(own), encoding="utf8")
        words = ["--archive", calm.archive_uri, "--out", "run", "--preset", "demo", "--config", "settings.yaml"]
        self._words = ["selftrain", *words, "--rounds", "1"]

    def start(self, *changes: str) -> subprocess.Popen[bytes]:
        command = [sys.executable, "-m", "pipelines", *self._words]
        for change in changes:
            command += ["--set", change]
        with (self.place / "log.txt").open("ab") as log:
            return subprocess.Popen(command, cwd=self.place, env=self.environment, stdout=log, stderr=log)

    def command(self, *words: str) -> subprocess.CompletedProcess[str]:
        command, place = [sys.executable, "-m", "pipelines", *words], self.place
        return subprocess.run(command, cwd=place, env=self.environment, capture_output=True, text=True, check=False)


@pytest.fixture(scope="module")
def killed_run(
    finished_run: FinishedRun, ray_environment: Mapping[str, str], tmp_path_factory: pytest.TempPathFactory
) -> Killed:
    """Return a run that was killed in stage 1, in infer and in retrain, and went on with other resources."""
    killed = Killed(finished_run, tmp_path_factory.mktemp("killed"), ray_environment)
    stage1, round1 = killed.folder.stage1, killed.folder.round(1)
    _kill_when(killed.start(), lambda: _epochs(stage1.checkpoint) >= 1)
    assert not stage1.checkpoint.finished
    _kill_when(killed.start(*OTHER_RESOURCES), lambda: any(round1.predictions.folder.glob("attempt_*")))
    assert not round1.predictions.finished
    early = killed.command("infer", "--run", "run", "--round", "2")
    assert early.returncode == 2
    assert "round 2 needs the model of round_01, which run does not have" in early.stderr
    done = killed.command("infer", "--run", "run", "--round", "1")
    assert done.returncode == 0, done.stderr
    assert "Inference, round 1" in done.stdout
    _kill_when(killed.start(*OTHER_RESOURCES), lambda: _epochs(round1.checkpoint) >= 1)
    assert not round1.checkpoint.finished
    assert killed.start(*OTHER_RESOURCES).wait(PATIENCE_S) == 0
    return killed


@pytest.mark.slow
def test_a_run_killed_in_stage_1_in_infer_and_in_retrain_ends_as_the_undisturbed_one(
    finished_run: FinishedRun, killed_run: Killed
) -> None:
    calm, killed = finished_run.folder, killed_run.folder
    for name in ("stage1", "control_01", "round_01"):
        theirs, ours = (next(each for each in run.systems() if each.name == name) for run in (calm, killed))
        assert weights(ours) == weights(theirs)
        assert ours.froc().result().counts.num_lesions > 0
        assert as_json(ours.froc().result()) == as_json(theirs.froc().result())
    theirs, ours = calm.round(1), killed.round(1)
    assert predictions(ours.predictions) == predictions(theirs.predictions)
    assert as_json(ours.pools.result()) == as_json(theirs.pools.result())
    assert any(pool.counts.num_pooled for pool in ours.pools.result().pools), "nothing was mined: this shows little"
    assert as_json(ours.promotion.result()) == as_json(theirs.promotion.result())
    assert killed.chosen.finished


@pytest.mark.slow
def test_a_run_that_was_killed_has_its_page_and_is_evaluated(killed_run: Killed) -> None:
    page = killed_run.folder.page.read_text(encoding="utf8")
    parts = (
        "What the rounds learned from",
        "Right: share with a mass in TP",
        "Calibration of the labels",
        "Images that the last round learned from",
        "Stages in time",
    )
    assert [part for part in parts if part not in page] == []
    measured = killed_run.command("evaluate", "--run", "run", "--split", "validation")
    assert measured.returncode == 0, measured.stderr
    assert "round 1, by parts" in measured.stdout
    assert "view: MLO" in measured.stdout
    assert "density: " in measured.stdout


def _kill_when(driver: subprocess.Popen[bytes], condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while not condition():
        assert driver.poll() is None, "the driver ended before it could be killed"
        assert time.monotonic() < deadline, "the stage to be killed in never came"
        time.sleep(0.05)
    os.kill(driver.pid, signal.SIGKILL)
    driver.wait()


def _epochs(stage: Stage[TrainResult]) -> int:
    progress = stage.folder / "train" / "epochs.jsonl"
    return len(progress.read_text().splitlines()) if progress.exists() else 0


def weights(system: System) -> bytes:
    return system.checkpoint.path("model.safetensors").read_bytes()


def predictions(stage: Stage[InferResult]) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in stage.paths()}
