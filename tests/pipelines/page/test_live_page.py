"""The page of a run that goes on: the kept run, taken back to earlier stages; needs no Ray."""

import logging
import shutil
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pytest
from pydantic import TypeAdapter

from pipelines.page.live import live_page
from system.run.folder import RunFolder
from system.training.epoch_row import EpochRow
from tests.epoch_rows import epoch_row
from tests.kept import set_times, unpack

LAST = ["control_01", "round_01/promotion", "chosen"]  # what the run had not done yet
ORDER = [
    *("labels", "archive", "stage1/checkpoint", "stage1/held_out", "stage1/thresholds", "stage1/froc"),
    *("round_01/predictions", "round_01/pools"),
    *("round_01/checkpoint", "round_01/held_out", "round_01/thresholds", "round_01/froc"),
]


@pytest.fixture
def going_on(tmp_path: Path) -> RunFolder:
    """Return the kept run as it was before its control was trained; its archive lies beside it."""
    folder = unpack(tmp_path)
    settings = folder / "run" / "config.yaml"
    text = settings.read_text().replace("num_epochs: 1\n", "num_epochs: 4\n")
    settings.write_text(text.replace(" every_epochs: 1\n", " every_epochs: 4\n"))  # all on the pool that it has
    for name in LAST:
        shutil.rmtree(folder / "run" / name)
    set_times(folder / "run", order=ORDER, began_s=1_700_000_000.0)
    return RunFolder(folder / "run")


def page_of(run: RunFolder) -> str:
    return run.page.read_text(encoding="utf8") if run.page.exists() else ""


def wait_for(happened: Callable[[], bool]) -> None:
    end_s = time.monotonic() + 240
    while not happened():
        assert time.monotonic() < end_s, "it did not happen within four minutes"
        time.sleep(0.05)


def epoch_is_over(run: RunFolder, number: int) -> None:
    path = run.control(1).checkpoint.folder / "train" / "epochs.jsonl"
    path.parent.mkdir(parents=True, exist_ok=True)
    row = epoch_row(epoch=number, num_epochs=4, losses={"total": 1 / number})
    with path.open("ab") as file:
        file.write(TypeAdapter(EpochRow).dump_json(row) + b"\n")


def test_the_page_follows_the_run_and_says_at_the_end_that_it_has_stopped(going_on: RunFolder) -> None:
    config, archive_uri = going_on.config(), str(going_on.path.parent / "archive")
    with (
        suppress(KeyboardInterrupt),
        going_on.claimed(config),
        live_page(going_on, archive_uri=archive_uri, config=config, poll_s=0.05, most_of_time=0.9),
    ):
        assert "At work: control 1, training" in page_of(going_on)
        assert 'http-equiv="refresh"' in page_of(going_on)
        assert "round 1" in page_of(going_on)
        epoch_is_over(going_on, 1)
        wait_for(lambda: "epoch 2 of at most 4" in page_of(going_on))
        raise KeyboardInterrupt
    page = page_of(going_on)
    assert "Stopped before: control 1, training, epoch 2 of at most 4" in page
    assert 'http-equiv="refresh"' not in page
    assert "What it misses" not in page  # pictures of images come with the last page


@pytest.mark.parametrize("done", range(len(ORDER) + 1))
def test_a_run_has_its_page_after_each_stage_from_the_first_on(
    going_on: RunFolder, done: int, caplog: pytest.LogCaptureFixture
) -> None:
    for name in ORDER[done:]:
        shutil.rmtree(going_on.path / name)
    config, archive_uri = going_on.config(), str(going_on.path.parent / "archive")
    with going_on.claimed(config), live_page(going_on, archive_uri=archive_uri, config=config, poll_s=60):
        assert "At work: " in page_of(going_on)
    assert "Stopped before: " in page_of(going_on)
    assert not [record for record in caplog.records if "page is not up to date" in record.getMessage()]


def test_the_page_is_not_written_again_before_the_run_has_had_its_share_of_the_time(going_on: RunFolder) -> None:
    config, archive_uri = going_on.config(), str(going_on.path.parent / "archive")
    with (
        going_on.claimed(config),
        live_page(going_on, archive_uri=archive_uri, config=config, poll_s=0.02, most_of_time=1e-6),
    ):
        before = going_on.page.stat().st_ino
        epoch_is_over(going_on, 1)
        time.sleep(3)
        assert going_on.page.stat().st_ino == before
    assert "epoch 2 of at most 4" in page_of(going_on)  # the last one is written anyway


def test_nothing_is_written_while_nothing_happens(going_on: RunFolder) -> None:
    config, archive_uri = going_on.config(), str(going_on.path.parent / "archive")
    with (
        going_on.claimed(config),
        live_page(going_on, archive_uri=archive_uri, config=config, poll_s=0.02, most_of_time=0.9),
    ):
        before = going_on.page.stat().st_ino
        time.sleep(3)
        assert going_on.page.stat().st_ino == before


def test_the_page_of_a_finished_run_stays_as_it_is(tmp_path: Path) -> None:
    run = RunFolder(unpack(tmp_path) / "run")
    run.page.parent.mkdir()
    run.page.write_text("with all its pictures")
    archive_uri = str(tmp_path / "archive")
    with run.claimed(run.config()), live_page(run, archive_uri=archive_uri, config=run.config(), poll_s=0.02):
        time.sleep(0.2)
    assert page_of(run) == "with all its pictures"


def test_a_page_that_cannot_be_written_is_logged_once_and_ends_nothing(
    going_on: RunFolder, caplog: pytest.LogCaptureFixture
) -> None:
    going_on.page.parent.write_text("a file where the page's folder should be")
    config, archive_uri = going_on.config(), str(going_on.path.parent / "archive")
    with (
        caplog.at_level(logging.WARNING),
        live_page(going_on, archive_uri=archive_uri, config=config, poll_s=0.02),
    ):
        time.sleep(0.3)
    found = [record.getMessage() for record in caplog.records if "page is not up to date" in record.getMessage()]
    assert len(found) == 1


def test_the_follower_ends_with_the_block(going_on: RunFolder) -> None:
    config, archive_uri = going_on.config(), str(going_on.path.parent / "archive")
    with live_page(going_on, archive_uri=archive_uri, config=config, poll_s=0.02):
        assert any(thread.name == "live page" for thread in threading.enumerate())
    assert not any(thread.name == "live page" for thread in threading.enumerate())
