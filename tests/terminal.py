"""Commands on a terminal of a given width, and what must not be seen there."""

import fcntl
import os
import pty
import re
import struct
import subprocess
import termios
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from rich.cells import cell_len

_CONTROL = re.compile(r"\x1b\[[0-9;?]*[ -/]*[@-~]|\x1b\][^\x07]*\x07|\x1b[()][0-9A-B]")  # ECMA-48 sequences
_STRAY = {
    "a cut number": re.compile(r"[\d.]…|…\d"),
    "a dictionary": re.compile(r"""\{['"]\w|\{\d+:|\[\{"""),
    "a record's repr": re.compile(r"""\b[A-Z]\w+\((\w+=|['"])|<[\w.]+ object at """),
    "a stray warning": re.compile(r"Warning\b|WARNING|core_worker|object store|Progress bars"),
    "a worker's process": re.compile(r"\((\w+ )?pid=\d+"),
    "a page that failed": re.compile(r"page is not up to date"),
    "a line of Ray's own": re.compile(r"Running Dataset|MapBatches|View detailed results|tensorboard --logdir|/tune/"),
}


class Seen(NamedTuple):
    """What a command left on its terminal."""

    text: str
    code: int


def on_terminal(words: Sequence[str], *, columns: int, cwd: Path, env: Mapping[str, str] | None = None) -> Seen:
    """Run a command in a pseudo-terminal of this width and return all that was printed."""
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 40, columns, 0, 0))
    environment = {name: value for name, value in os.environ.items() if name not in ("COLUMNS", "LINES", "NO_COLOR")}
    environment |= {"TERM": "xterm-256color", **(env or {})}
    process = subprocess.Popen(
        words, stdin=theirs, stdout=theirs, stderr=theirs, cwd=cwd, env=environment, start_new_session=True
    )
    os.close(theirs)
    chunks = []
    try:
        while chunk := _read(ours):
            chunks.append(chunk)
        code = process.wait()
    finally:
        os.close(ours)
        process.kill()
        process.wait()
    return Seen(b"".join(chunks).decode("utf8", "replace").replace("\r\n", "\n"), code)


def _read(terminal: int) -> bytes:
    try:
        return os.read(terminal, 1 << 16)
    except OSError:  # EIO: nobody has it open any more
        return b""


def faults(text: str, *, columns: int) -> list[str]:
    """Return what is wrong with a terminal's text, each with its line; colours and rewritten lines are no faults."""
    lines = (part for line in _CONTROL.sub("", text).splitlines() for part in line.split("\r"))
    return [fault for line in lines for fault in _of(line, columns)]


def _of(line: str, columns: int) -> Iterator[str]:
    if cell_len(line) > columns:
        yield f"a line of {cell_len(line)} characters: {line}"
    yield from (f"{what}: {line}" for what, pattern in _STRAY.items() if pattern.search(line))
