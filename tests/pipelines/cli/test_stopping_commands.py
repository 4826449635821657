"""Each signal, in the midst of each command, ends it with its own code and one sentence.

A command is called in this process with whatever its options take, and the signal comes when it first calls a function
of the product, or when it returns before that. So a new command is tried without a word here.
"""

import os
import re
import signal
import sys
from collections.abc import Iterator
from pathlib import Path
from types import FrameType
from typing import Any, Literal, get_args, get_origin, get_type_hints

import pytest
import typer

from pipelines.cli.main import app
from tests.pipelines.cli.calling import Mammoloop

ROOT = Path(__file__).resolve().parents[3]
PRODUCT = tuple(f"{ROOT}{os.sep}{name}{os.sep}" for name in ("pipelines", "system", "actors", "tune_spaces"))
COMMANDS = f"{ROOT}{os.sep}pipelines{os.sep}cli{os.sep}"
SENTENCE = re.compile(
    r"mammoloop: stopped( (in|while) [^\n]+)? \((Ctrl-C|SIGTERM|SIGHUP, its terminal is gone)\): "
    r"start the same command again(, it goes on)?\n"
)


def leaves(command: Any, *words: str) -> Iterator[tuple[tuple[str, ...], Any]]:
    """Give every command that does something, with the words that call it."""
    for name, below in getattr(command, "commands", {}).items():
        yield from leaves(below, *words, name)
    if not hasattr(command, "commands"):
        yield words, command


EVERY = dict(leaves(typer.main.get_command(app)))


def taken(hint: Any, folder: Path) -> str:
    """Return something that an option takes. hint: its annotation, with Typer's own beside the type."""
    kind, options = get_args(hint)[:2]
    if get_origin(kind) is Literal:
        return str(get_args(kind)[0])
    if getattr(options, "exists", False):
        (folder / "file").touch()
        return str(folder if options.dir_okay else folder / "file")
    return "1" if kind in (int, float) else str(folder / "x")


def arguments(command: Any, folder: Path) -> Iterator[str]:
    hints = get_type_hints(command.callback, include_extras=True)
    for parameter in command.params:
        if parameter.required:
            name = [] if parameter.param_type_name == "argument" else [parameter.opts[0]]
            yield from (*name, taken(hints[parameter.name], folder))


class Striking:
    """Sends a signal to this process in the midst of a command."""

    def __init__(self, number: signal.Signals, command: str) -> None:
        self.number, self.command, self.struck = number, command, False

    def __call__(self, frame: FrameType, event: str, _: object) -> None:
        if self.struck or not self._in_the_midst(frame, event):
            return
        sys.setprofile(None)
        self.struck = True
        signal.raise_signal(self.number)

    def _in_the_midst(self, frame: FrameType, event: str) -> bool:
        code = frame.f_code
        if code.co_filename.startswith(COMMANDS):
            return event == "return" and code.co_name == self.command
        called = event == "call" and code.co_filename.startswith(PRODUCT) and code.co_name != "<module>"
        return called and not importing(frame)


def importing(frame: FrameType | None) -> bool:
    """Return whether a module is being imported: half of it would stay for the tests that follow."""
    while frame is not None and not frame.f_code.co_filename.startswith("<frozen importlib"):
        frame = frame.f_back
    return frame is not None


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP], ids=lambda number: number.name)
@pytest.mark.parametrize("words", EVERY, ids=" ".join)
def test_each_signal_ends_each_command_with_its_code_and_one_sentence(
    mammoloop: Mammoloop, tmp_path: Path, words: tuple[str, ...], number: signal.Signals
) -> None:
    command = EVERY[words]
    signal.signal(number, signal.SIG_DFL)  # under nohup the tests ignore SIGHUP
    striking = Striking(number, command.callback.__name__)
    given = list(arguments(command, tmp_path))
    sys.setprofile(striking)
    try:
        called = mammoloop(*words, *given)
    finally:
        sys.setprofile(None)
    assert striking.struck, called.err
    assert called.code == 128 + number
    assert SENTENCE.fullmatch(called.err), called.err
    assert called.out == ""
