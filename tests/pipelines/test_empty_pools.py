"""A run whose pools are empty: it ends with the reason instead of a training that repeats the one before it."""

import logging
import shutil
from pathlib import Path

import pytest

from pipelines import selftrain
from pipelines.page.gather import present
from system.run.folder import RunFolder
from tests.kept import unpack

pytestmark = [pytest.mark.ray, pytest.mark.usefixtures("ray_cluster")]  # which the run asks for its hardware


@pytest.fixture
def mined(tmp_path: Path) -> Path:
    """Return a folder with archive/ and a run that has just mined its first round: no report was sure enough."""
    folder = unpack(tmp_path)
    run = folder / "run"
    for name in ("control_01", "chosen"):
        shutil.rmtree(run / name)
    for part in ("checkpoint", "held_out", "thresholds", "froc", "validated", "promotion"):
        shutil.rmtree(run / "round_01" / part)
    return folder


def test_the_round_is_not_trained_and_the_reason_is_logged_and_on_the_page(
    mined: Path, caplog: pytest.LogCaptureFixture
) -> None:
    run, archive = RunFolder(mined / "run"), str(mined / "archive")
    with caplog.at_level(logging.WARNING):
        systems = selftrain.run(archive, run.path, config=run.config())
    reason = "round 1 has nothing to train on, its pools are empty at every p0: of 12 weak images at p0 0.55, 12 have"
    assert f"stop: {reason}" in caplog.text
    assert [system.title for system in systems] == ["supervised"]
    assert run.result().title == "supervised"
    assert not run.round(1).checkpoint.folder.exists()
    assert run.trained_rounds() == []
    assert reason in present(run, archive_uri=archive, config=run.config()).read_text(encoding="utf8")


def test_the_same_command_ends_there_again(mined: Path) -> None:
    run, archive = RunFolder(mined / "run"), str(mined / "archive")
    for _ in range(2):
        selftrain.run(archive, run.path, config=run.config())
    assert run.result().title == "supervised"
    assert not run.round(1).checkpoint.folder.exists()
