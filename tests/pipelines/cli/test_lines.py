"""On a terminal a live line stands below the others; elsewhere it is a line now and then."""

import io
import logging

import pytest

from pipelines.cli import lines
from pipelines.cli.lines import Lines
from system.progress import LIVE

ERASE = "\r\x1b[2K"


class Terminal(io.StringIO):
    """A terminal of 80 columns."""

    def isatty(self) -> bool:
        return True


def record(text: str, level: int = LIVE) -> logging.LogRecord:
    return logging.LogRecord("mammoloop", level, "", 0, "%s", (text,), None)


@pytest.fixture(autouse=True)
def eighty_columns(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "80")


def test_on_a_terminal_a_live_line_is_written_over_and_other_lines_stay_above_it() -> None:
    terminal = Terminal()
    handler = Lines(terminal)
    for each in (record("step 1"), record("step 2"), record("epoch 1", logging.INFO), record("step 3"), record("")):
        handler.handle(each)
    assert terminal.getvalue() == f"step 1{ERASE}step 2{ERASE}epoch 1\nstep 3{ERASE}"


def test_a_live_line_never_wraps() -> None:
    terminal = Terminal()
    Lines(terminal).handle(record("x" * 200))
    assert terminal.getvalue() == "x" * 79


def test_without_a_terminal_a_live_line_is_plain_and_comes_when_nothing_else_did(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    clock = [0.0]
    monkeypatch.setattr(lines.time, "monotonic", lambda: clock[0])
    file = io.StringIO()
    handler = Lines(file)
    for at_s, each in (
        (10, record("step 1")),
        (40, record("epoch 1", logging.INFO)),
        (90, record("step 2")),
        (100, record("step 3")),
        (101, record("step 4")),
        (170, record("")),
    ):
        clock[0] = at_s
        handler.handle(each)
    assert file.getvalue() == "epoch 1\nstep 3\n"


def test_a_terminal_that_is_gone_is_no_error() -> None:
    terminal = Terminal()
    handler = Lines(terminal)
    terminal.close()
    handler.handle(record("step 1"))
