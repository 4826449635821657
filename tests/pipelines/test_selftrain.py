"""The loop as a user starts it: killed in stage 1, in infer (then done alone) and in retrain, it ends with the calm run's numbers."""

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from system.run.stage import Stage

pytestmark = [pytest.mark.ray, pytest.mark.slow]
PATIENCE_S = 400


def test_a_run_killed_in_stage_1_in_infer_and_in_retrain_ends_as_the_undisturbed_one(
    tmp_path: Path, tiny_settings: Path, ray_environment: Mapping[str, str]
) -> None:
    settings = tiny_settings
    calm, killed = tmp_path / "calm", tmp_path / "killed"
    assert _start(calm, settings, ray_environment).wait(PATIENCE_S) == 0
    _begin_as(calm, killed)

    _kill_when(_start(killed, settings, ray_environment), lambda: _epochs(killed / "run/stage1/checkpoint") >= 1)
    assert Stage(killed / "run", "stage1/checkpoint").manifest() is None
    _kill_when(
        _start(killed, settings, ray_environment), lambda: any((killed / "run/round_01/predictions").glob("attempt_*"))
    )
    assert Stage(killed / "run", "round_01/predictions").manifest() is None
    alone = [sys.executable, "-m", "pipelines", "infer", "--run", "run", "--round"]
    early = subprocess.run(
        [*alone, "2"], cwd=killed, env=dict(ray_environment), capture_output=True, text=True, check=False
    )
    assert early.returncode == 2
    assert "round 2 needs the model of round_01, which run does not have" in early.stderr
    done = subprocess.run(
        [*alone, "1"], cwd=killed, env=dict(ray_environment), capture_output=True, text=True, check=True
    )
    assert "Inference, round_01/predictions" in done.stdout
    _kill_when(_start(killed, settings, ray_environment), lambda: _epochs(killed / "run/round_01/checkpoint") >= 1)
    assert Stage(killed / "run", "round_01/checkpoint").manifest() is None
    assert _start(killed, settings, ray_environment).wait(PATIENCE_S) == 0

    for part in ("stage1", "round_01"):
        assert _weights(killed, part) == _weights(calm, part)
        assert _metrics(killed, part) == _metrics(calm, part)
    assert _predictions(killed) == _predictions(calm)
    assert _pools(killed) == _pools(calm)
    assert any(pool["TP"] + pool["FP"] + pool["FN"] for pool in _pools(calm)["counts"].values()), (
        "nothing was mined: this shows little"
    )
    page = (killed / "run/report/index.html").read_text(encoding="utf8")
    headings = (
        "What the rounds learned from",
        "Purity",
        "Calibration of the labels",
        "What the last round was taught",
        "Slowest stages",
    )
    assert [heading for heading in headings if heading not in page] == []
    command = [sys.executable, "-m", "pipelines", "evaluate", "--run", "run", "--split", "validation"]
    measured = subprocess.run(
        command, cwd=killed, env=dict(ray_environment), capture_output=True, text=True, check=True
    )
    assert "round 1, by parts" in measured.stdout
    assert "view: MLO" in measured.stdout
    assert "density: " in measured.stdout


def _start(out: Path, settings: Path, environment: Mapping[str, str]) -> subprocess.Popen[bytes]:
    command = [
        sys.executable,
        "-m",
        "pipelines",
        "demo",
        "--out",
        out.name,
        "--config",
        str(settings),
    ]  # relative, as one types it
    with (out.parent / f"{out.name}.log").open("ab") as log:
        return subprocess.Popen(command, cwd=out.parent, env=dict(environment), stdout=log, stderr=subprocess.STDOUT)


def _begin_as(calm: Path, killed: Path) -> None:
    """Copy what lies before stage 1, which is not what this test is about and takes minutes."""
    for part in ("phantom", "archive", "exams", "ingested", "run/labels", "run/archive"):
        shutil.copytree(calm / part, killed / part)


def _kill_when(driver: subprocess.Popen[bytes], condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while not condition():
        assert driver.poll() is None, "the driver ended before it could be killed"
        assert time.monotonic() < deadline, "the stage to be killed in never came"
        time.sleep(0.05)
    os.kill(driver.pid, signal.SIGKILL)
    driver.wait()


def _epochs(stage: Path) -> int:
    progress = stage / "train" / "epochs.jsonl"
    return len(progress.read_text().splitlines()) if progress.exists() else 0


def _weights(out: Path, part: str) -> bytes:
    return Stage(out / "run", f"{part}/checkpoint").path("model.safetensors").read_bytes()


def _predictions(out: Path) -> list[bytes]:
    return [path.read_bytes() for path in Stage(out / "run", "round_01/predictions").paths()]


def _pools(out: Path) -> dict[str, Any]:
    manifest = Stage(out / "run", "round_01/pools").manifest()
    assert manifest is not None
    return manifest.metrics


def _metrics(out: Path, part: str) -> str:
    manifest = Stage(out / "run", f"{part}/froc").manifest()
    assert manifest is not None
    assert manifest.metrics["num_lesions"] > 0
    return repr(manifest.metrics)
