"""On a terminal a live line stands below the others; elsewhere it is a line now and then."""

import io
import logging

import pytest

from pipelines.cli import lines
from pipelines.cli.lines import Lines, Wrapped
from system.place import LIVE

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


def test_several_live_lines_are_written_over_together_and_no_more_than_the_terminal_has(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("LINES", "4")
    terminal = Terminal()
    handler = Lines(terminal)
    for each in (
        record("2 under way\n0  1/3\n1  2/3\n2  0/3"),
        record("done", logging.INFO),
        record("a\nb"),
        record(""),
    ):
        handler.handle(each)
    up = "\x1b[1A" + ERASE
    assert terminal.getvalue() == f"2 under way\n0  1/3\n1  2/3{ERASE}{up}{up}done\na\nb{ERASE}{up}"


def test_without_a_terminal_only_the_first_of_several_live_lines_is_written(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lines, "PLAIN_EVERY_S", 0.0)
    file = io.StringIO()
    Lines(file).handle(record("1 of 8 trials done\n0  1/3"))
    assert file.getvalue() == "1 of 8 trials done\n"


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


def test_a_terminal_that_is_gone_is_no_error(capsys: pytest.CaptureFixture[str]) -> None:
    terminal = Terminal()
    handler = Lines(terminal)
    handler.handle(record("step 1"))
    terminal.close()
    handler.handle(record("step 2"))
    assert capsys.readouterr().err == ""  # logging would print "--- Logging error ---" and a traceback


def formatted(message: str, *, error: BaseException | None = None) -> list[str]:
    told = (type(error), error, error.__traceback__) if error else None
    record = logging.LogRecord("x", logging.INFO, "x.py", 1, message, (), told)
    return Wrapped().format(record).splitlines()


@pytest.fixture
def narrow(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "40")


@pytest.mark.usefixtures("narrow")
def test_a_long_line_is_broken_between_words_and_goes_on_below_the_message() -> None:
    first, *others = formatted("round 1: mean sensitivity 0.622 at four operating points, better than before")
    assert first[9:] == "round 1: mean sensitivity 0.622"
    assert others == ["         at four operating points,", "         better than before"]
    assert max(map(len, [first, *others])) <= 40


@pytest.mark.usefixtures("narrow")
def test_a_short_line_is_as_it_was() -> None:
    (line,) = formatted("read 4 of 9 files")
    assert line[9:] == "read 4 of 9 files"


@pytest.mark.usefixtures("narrow")
def test_a_traceback_is_not_wrapped() -> None:
    lines = formatted("it failed", error=ValueError("a text of more than forty characters, all of them in one line"))
    assert lines[-1] == "ValueError: a text of more than forty characters, all of them in one line"
