"""The log's lines on a terminal."""

import logging

import pytest

from pipelines.cli.log_lines import Wrapped


def formatted(message: str, *, error: BaseException | None = None) -> list[str]:
    told = (type(error), error, error.__traceback__) if error else None
    record = logging.LogRecord("x", logging.INFO, "x.py", 1, message, (), told)
    return Wrapped().format(record).splitlines()


@pytest.fixture(autouse=True)
def _narrow(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "40")


def test_a_long_line_is_broken_between_words_and_goes_on_below_the_message() -> None:
    first, *others = formatted("round 1: mean sensitivity 0.622 at four operating points, better than before")
    assert first[9:] == "round 1: mean sensitivity 0.622"
    assert others == ["         at four operating points,", "         better than before"]
    assert max(map(len, [first, *others])) <= 40


def test_a_short_line_is_as_it_was() -> None:
    (line,) = formatted("read 4 of 9 files")
    assert line[9:] == "read 4 of 9 files"


def test_a_traceback_is_not_wrapped() -> None:
    lines = formatted("it failed", error=ValueError("a text of more than forty characters, all of them in one line"))
    assert lines[-1] == "ValueError: a text of more than forty characters, all of them in one line"
