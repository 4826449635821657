"""`mammoloop status`: what it prints of a run at any time, as lines and as JSON, and that it loads nothing heavy."""

import fcntl
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from pipelines.tools.status import lines
from system.files.json_out import as_json
from system.run.progress import progress_of
from tests.kept import set_times, unpack

ROOT = Path(__file__).resolve().parents[3]
BEGAN_S = 1_700_000_000.0


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return unpack(tmp_path_factory.mktemp("kept")) / "run"


@pytest.fixture
def in_training(kept: Path, tmp_path: Path) -> Path:
    """Return a run whose Stage 1 is being trained: two epochs of 90 s, the last row 30 s after the start."""
    run = tmp_path / "run"
    shutil.copytree(kept, run)
    for name in ("stage1", "round_01", "control_01", "chosen"):
        shutil.rmtree(run / name)
    set_times(run, order=["labels", "archive"], began_s=BEGAN_S)
    config = run / "config.yaml"
    config.write_text(config.read_text().replace("num_epochs: 1\n", "num_epochs: 4\n"))
    os.utime(config, (BEGAN_S, BEGAN_S))
    row = json.loads((kept / "stage1/checkpoint/attempt_001/epochs.jsonl").read_text().splitlines()[0])
    scratch = run / "stage1/checkpoint/train"
    (scratch / "ray").mkdir(parents=True)
    rows = [row | {"epoch": epoch, "num_epochs": 4, "seconds": 90, "validation": 0.1 * epoch} for epoch in (1, 2)]
    (scratch / "epochs.jsonl").write_text("".join(json.dumps(each) + "\n" for each in rows))
    snapshot = scratch / "ray/checkpoint_manager_snapshot.json"
    snapshot.write_text(json.dumps({"latest_checkpoint_result": {"metrics": {"epoch": 2, "step": 8}}}))
    for path in (run / "stage1").rglob("*"):
        os.utime(path, (BEGAN_S + 1000, BEGAN_S + 1000))
    return run


def test_a_run_in_training_is_shown_in_six_lines(in_training: Path) -> None:
    with (in_training / "driver.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        found = list(lines(progress_of(in_training, now_s=BEGAN_S + 1030)))
    assert found == [
        "run: at work on stage1/checkpoint, 2 of at most 21 stages done",
        "epoch: 3 of at most 4, 1 min 30 s each, best on validation 0.200",
        "last checkpoint: after epoch 2, step 8, 30 s ago",
        "time left: 2 min 30 s of this stage, not known yet of the whole run",
        "waits for: the end of epoch 3",
        "newest change: 30 s ago; started 17 min 10 s ago",
    ]


def test_a_killed_run_says_how_it_goes_on(in_training: Path) -> None:
    found = list(lines(progress_of(in_training, now_s=BEGAN_S + 90_000)))
    assert found[0] == "run: stopped, killed or failed in stage1/checkpoint, 2 of at most 21 stages done"
    assert "waits for: the same command to be started again: it goes on here" in found


def test_a_finished_run_has_its_result_its_pools_and_its_best(kept: Path) -> None:
    found = list(lines(progress_of(kept)))
    assert found[0] == "run: finished, its result is supervised"
    assert found[1] == "pools of round 1, at p0 0.55: TP 0, FP 0, FN 0"
    assert found[2] == "best so far on validation: supervised, 0.000 (0.000 to 0.000)"
    assert len(found) == 4


def test_as_json_it_is_the_record_with_null_for_what_is_not_known(in_training: Path) -> None:
    found = json.loads(as_json(progress_of(in_training, now_s=BEGAN_S + 1030)))
    assert (found["state"], found["stage"], found["left_s"]) == ("stopped", "stage1/checkpoint", None)
    assert found["training"]["checkpoint"] == {"epoch": 2, "step": 8, "at_s": BEGAN_S + 1000}
    assert [stage["name"] for stage in found["finished"]] == ["labels", "archive"]


def test_the_command_loads_nothing_heavy_and_changes_nothing(in_training: Path) -> None:
    before = sorted(str(path) for path in in_training.rglob("*"))
    heavy = ("torch", "ray", "transformers", "pyarrow", "numpy", "sklearn", "scipy", "pandas")
    code = "import sys; from pipelines.cli import main\n"
    code += f"main.app(['status', '--run', {str(in_training)!r}], standalone_mode=False)\n"
    code += f"print([name for name in {heavy} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[0].startswith("run: stopped")
    assert done.stdout.splitlines()[-1] == "[]"
    assert sorted(str(path) for path in in_training.rglob("*")) == before
