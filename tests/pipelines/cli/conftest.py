"""The command line, called in this process: a process of its own costs seconds of imports."""

import logging
import signal
import sys
from collections.abc import Iterator

import pytest

from pipelines.cli import main as command_line
from system.place import LIVE_LOGGER
from tests.pipelines.cli.calling import Called, Mammoloop

LOGGERS = ("mammoloop", "pipelines", "actors", "system")  # whose levels a command sets


@pytest.fixture
def mammoloop(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Iterator[Mammoloop]:
    """Give the command as it is called on a terminal, 300 characters wide."""
    levels = {name: logging.getLogger(name).level for name in LOGGERS}
    handlers = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)}
    live = logging.getLogger(LIVE_LOGGER)
    monkeypatch.setenv("TERMINAL_WIDTH", "300")

    def call(*words: str) -> Called:
        monkeypatch.setattr(sys, "argv", ["mammoloop", *words])
        code: object = 0
        try:
            command_line.main()
        except SystemExit as end:
            code = end.code
        printed = capsys.readouterr()
        return Called(code, printed.out, printed.err)

    yield call
    for number, handler in handlers.items():
        signal.signal(number, handler)
    for name, level in levels.items():
        logging.getLogger(name).setLevel(level)
    live.handlers, live.propagate = [], True
    live.setLevel(logging.NOTSET)
