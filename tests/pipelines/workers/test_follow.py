"""Lines that a worker appends are logged once each, in order, as soon as they are whole."""

import json
import logging
import threading
from pathlib import Path

import pytest

from pipelines.workers.follow import follow


def append(path: Path, text: str) -> None:
    with path.open("a", encoding="utf8") as file:
        file.write(text)


def row(number: int) -> str:
    return json.dumps({"epoch": number}) + "\n"


def epoch_of(line: str) -> int:
    return json.loads(line)["epoch"]


@pytest.fixture
def lines(caplog: pytest.LogCaptureFixture) -> pytest.LogCaptureFixture:
    caplog.set_level(logging.INFO, logger="mammoloop")
    return caplog


def test_each_row_is_logged_once_and_in_order(tmp_path: Path, lines: pytest.LogCaptureFixture) -> None:
    path = tmp_path / "epochs.jsonl"
    with follow(path, describe=lambda line: f"epoch {epoch_of(line)}", poll_s=0.01):
        for number in range(5):
            append(path, row(number))
    assert lines.messages == [f"epoch {number}" for number in range(5)]


def test_rows_are_logged_while_the_work_goes_on(tmp_path: Path, lines: pytest.LogCaptureFixture) -> None:
    path, logged = tmp_path / "epochs.jsonl", threading.Event()

    def describe(line: str) -> str:
        logged.set()
        return line

    with follow(path, describe=describe, poll_s=0.01):
        append(path, row(1))
        assert logged.wait(timeout=30)


def test_a_row_written_at_once_or_last_is_not_lost_between_two_looks(
    tmp_path: Path, lines: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "epochs.jsonl"
    with follow(path, describe=str, poll_s=60):
        append(path, row(1))
    assert lines.messages == ['{"epoch": 1}']


def test_a_row_is_logged_when_it_is_whole(tmp_path: Path, lines: pytest.LogCaptureFixture) -> None:
    path, seen = tmp_path / "epochs.jsonl", threading.Event()

    def describe(line: str) -> str:
        if epoch_of(line) == 0:
            seen.set()
        return str(epoch_of(line))

    with follow(path, describe=describe, poll_s=0.01):
        append(path, row(0) + row(12)[:8])
        assert seen.wait(timeout=30)
        append(path, row(12)[8:])
    assert lines.messages == ["0", "12"]


def test_what_an_earlier_start_wrote_is_not_logged_again(tmp_path: Path, lines: pytest.LogCaptureFixture) -> None:
    path = tmp_path / "epochs.jsonl"
    append(path, row(1))
    with follow(path, describe=str, poll_s=0.01):
        append(path, row(2))
    assert lines.messages == ['{"epoch": 2}']


def test_a_failure_of_the_work_comes_through_after_the_last_row(
    tmp_path: Path, lines: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "epochs.jsonl"

    def work() -> None:
        with follow(path, describe=str, poll_s=60):
            append(path, row(1))
            raise RuntimeError("worker died")

    with pytest.raises(RuntimeError, match="worker died"):
        work()
    assert lines.messages == ['{"epoch": 1}']
