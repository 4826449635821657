"""What TensorBoard gets of a run: tags of one scheme, measures and pictures, stages one after another on one axis."""

import json
import shutil
from pathlib import Path

import pytest

from pipelines import tensorboard
from system.archive import Archive
from system.run.folder import RunFolder
from system.run.results import FrocResult
from system.run.stage import Stage
from system.run.systems import System
from system.training.epoch_scalars import epoch_scalars
from tests.epoch_rows import epoch_row
from tests.events_in import pictures, scalars
from tests.kept import unpack

STEPS = {"stage1": 120, "round_01": 80, "control_01": 81}


@pytest.fixture
def kept(tmp_path: Path) -> Path:
    folder = unpack(tmp_path)
    for system, num_steps in STEPS.items():
        path = folder / "run" / system / "checkpoint" / "manifest.json"
        found = json.loads(path.read_text())
        found["result"]["num_steps"] = num_steps
        path.write_text(json.dumps(found))
    return folder


def draw(folder: Path, system: System, stage: Stage[FrocResult]) -> Path:
    tensorboard.add(stage, system, archive=Archive.open(folder / "archive"))
    return system.run / "tensorboard" / system.name / "checkpoint"


def test_an_epochs_tags_are_of_one_scheme() -> None:
    row = epoch_row(p0=0.8, samples={"TP": 3}, places={"TP": 1.5}, validation=0.4, seconds=7.0)
    found = epoch_scalars(row)
    assert found["loss/total"] == 1.0
    assert (found["pools/TP"], found["batch/TP"], found["pools/p0"]) == (3, 1.5, 0.8)
    assert (found["validation/mean_sensitivity"], found["pace/seconds"]) == (0.4, 7.0)
    groups = {"loss", "optimiser", "pace", "pools", "batch", "validation"}
    assert {tag.partition("/")[0] for tag in found} == groups


def test_what_was_not_measured_has_no_tag() -> None:
    found = epoch_scalars(epoch_row())
    assert not {"validation/mean_sensitivity", "pools/p0"} & set(found)


def test_stages_follow_each_other_and_a_control_runs_beside_its_round(kept: Path) -> None:
    run = RunFolder(kept / "run")
    assert run.steps_before("stage1/checkpoint") == 0
    assert run.steps_before("round_01/checkpoint") == run.steps_before("control_01/checkpoint") == 120
    assert run.steps_before("round_02/checkpoint") == 120 + 80
    assert run.steps_before("trial_ab12/checkpoint") == 0
    assert RunFolder(kept / "none").steps_before("round_03/checkpoint") == 0


def test_a_test_evaluation_becomes_numbers_at_the_end_of_its_training(kept: Path) -> None:
    system = RunFolder(kept / "run").round(1)
    found = scalars(draw(kept, system, system.froc()))
    measured = system.froc().result().sweep
    assert found["test/mean_sensitivity", 200] == pytest.approx(measured.mean)
    assert {f"test/sensitivity_at_{fppi}_fppi" for fppi in measured.sensitivity} < {tag for tag, _ in found}
    assert {step for _, step in found} == {200}


def test_a_validation_becomes_numbers_and_pictures_of_the_same_images_for_every_system(kept: Path) -> None:
    run = RunFolder(kept / "run")
    drawn = {system.name: draw(kept, system, system.validated) for system in (run.stage1, run.round(1))}
    first, second = (pictures(folder) for folder in drawn.values())
    assert 1 <= len(first) <= tensorboard.NUM_PICTURES
    assert (
        [tag for tag, _ in first]
        == [tag for tag, _ in second]
        == [f"validation/image_{n + 1}" for n in range(len(first))]
    )
    assert {step for _, step in first} == {120}
    assert all(png.startswith(b"\x89PNG") for png in (*first.values(), *second.values()))
    assert not pictures(draw(kept, run.control(1), run.control(1).froc()))
    assert ("validation/mean_sensitivity", 120) in scalars(drawn["stage1"])


def test_an_evaluation_is_drawn_when_it_is_done_and_not_again_when_it_is_read(kept: Path) -> None:
    system = RunFolder(kept / "run").stage1
    archive, folder = Archive.open(kept / "archive"), kept / "run/tensorboard/stage1/checkpoint"
    with tensorboard.following(system.froc(), system, archive=archive):
        pass
    assert not folder.exists()
    manifest, held = system.froc().folder / "manifest.json", kept / "held.json"
    shutil.move(manifest, held)
    with tensorboard.following(system.froc(), system, archive=archive):
        shutil.move(held, manifest)
    assert ("test/mean_sensitivity", 120) in scalars(folder)
