"""End this process when it stands still, so that whoever started it can start another.

A small process beside it counts the seconds since its last sign of life. It notices a process that is stopped, one
that waits for a storage or for another worker without end, and one whose threads block each other. It runs this file
by its path, with the standard library alone.
"""

import os
import select
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache

_REST = "\n"  # a line without text: nothing is expected until the next sign of life


@dataclass(frozen=True)
class StallLimit:
    """How long a process may give no sign of life while it works, and where its end is noted."""

    stall_s: float
    notes: str  # path of a file that gets a line for every process that was ended


class Watchdog:
    """Watches the process that makes it. Its methods may be called by several threads."""

    def __init__(self, limit: StallLimit, *, who: str) -> None:
        """Start watching; nothing is expected yet. who: names the process in the notes."""
        command = [sys.executable, "-I", "-S", __file__, str(limit.stall_s), limit.notes, who, str(os.getpid())]
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, bufsize=0)
        self._lock, self._working = threading.Lock(), 0

    def alive(self, doing: str) -> None:
        """Give a sign of life. doing: what is done from now on, for the notes; it must name no patient."""
        self._send(f"{doing}\n")

    @contextmanager
    def during(self, doing: str) -> Iterator[None]:
        """Expect signs of life from the block's beginning to its end."""
        with self._lock:
            self._working += 1
        self.alive(doing)
        try:
            yield
        finally:
            with self._lock:
                self._working -= 1
                rest = not self._working
            self._send(_REST if rest else f"{doing}\n")

    def close(self) -> None:
        """Stop watching."""
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait()

    def _send(self, line: str) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(line.encode())


@lru_cache(maxsize=4)
def watchdog(limit: StallLimit, *, who: str) -> Watchdog:
    """Return this process's watchdog: a worker of Ray does many tasks."""
    return Watchdog(limit, who=who)


def _guard(stall_s: float, notes: str, who: str, pid: int) -> None:
    """Read signs of life until the watched process ends; end it where none comes for `stall_s` while it works.

    Ticks are counted and not the clock: a machine that slept, or a container that was frozen, has not stood still.
    """
    tick_s = min(1.0, stall_s / 4)
    doing, waited_s = "", 0.0
    while waited_s < stall_s:
        ready, _, _ = select.select([0], [], [], tick_s)
        if ready:
            lines = os.read(0, 65536).decode()
            if not lines:
                return
            doing, waited_s = lines[:-1].rpartition("\n")[2], 0.0
        elif doing:
            waited_s += tick_s
    if os.getppid() == pid:
        try:
            with open(notes, "a", encoding="utf8") as file:  # noqa: PTH123 - quicker to start without pathlib
                file.write(f"{who} gave no sign of life for {stall_s:g} s ({doing}): it is ended\n")
        finally:
            os.kill(pid, signal.SIGKILL)


if __name__ == "__main__":
    _guard(float(sys.argv[1]), sys.argv[2], sys.argv[3], int(sys.argv[4]))
