"""End this process when it stands still, so that whoever started it can start another.

A small process beside it counts the seconds since its last sign of life. It notices a process that is stopped, at work
or at rest, one that waits for a storage or for another worker without end, and one whose threads block each other. It
runs this file by its path, with the standard library alone.
"""

import os
import select
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass

_REST = "\n"  # a line without text: no work is expected until the next sign of life
_RUNS = ".\n"  # the process is not stopped; says nothing of its work


@dataclass(frozen=True)
class StallLimit:
    """How long a process may give no sign of life while it works, and where its end is noted."""

    stall_s: float
    notes: str  # path of a file that gets a line for every process that was ended


class Watchdog:
    """Watches the process that makes it, its work and, by a thread of its own, that it runs at all.

    Its methods may be called by several threads.
    """

    def __init__(self, limit: StallLimit, *, who: str) -> None:
        """Start watching; no work is expected yet. who: names the process in the notes."""
        command = [sys.executable, "-I", "-S", __file__, str(limit.stall_s), limit.notes, who, str(os.getpid())]
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, bufsize=0)
        self._lock, self._working, self._closed = threading.Lock(), 0, threading.Event()
        threading.Thread(target=self._run, args=(min(5.0, limit.stall_s / 5),), daemon=True).start()

    def alive(self, doing: str) -> None:
        """Give a sign of life. doing: what is done from now on, for the notes; it must name no patient."""
        self._send(f"{doing}\n")

    @contextmanager
    def during(self, doing: str) -> Iterator[None]:
        """Expect signs of life from the block's beginning to its end."""
        self._count(1, doing)
        try:
            yield
        finally:
            self._count(-1, doing)

    def _count(self, change: int, doing: str) -> None:
        with self._lock:
            self._working += change
            line = f"{doing}\n" if self._working else _REST
        self._send(line)

    def close(self) -> None:
        """Stop watching."""
        self._closed.set()
        assert self._process.stdin is not None
        with self._lock:
            self._process.stdin.close()
        self._process.wait()

    def _run(self, every_s: float) -> None:
        while not self._closed.wait(every_s):
            self._send(_RUNS)

    def _send(self, line: str) -> None:
        assert self._process.stdin is not None
        with self._lock, suppress(OSError, ValueError):  # without a watcher the work goes on
            self._process.stdin.write(line.encode())


_of_this_process: dict[tuple[StallLimit, str], Watchdog] = {}


def watchdog(limit: StallLimit, *, who: str) -> Watchdog:
    """Return this process's watchdog, which stays for the next task of the same limit and ends for another's."""
    if (limit, who) not in _of_this_process:
        while _of_this_process:
            _of_this_process.popitem()[1].close()
        _of_this_process[limit, who] = Watchdog(limit, who=who)
    return _of_this_process[limit, who]


def _guard(stall_s: float, notes: str, who: str, pid: int) -> None:
    """Read signs of life until the watched process ends; end it where none comes for `stall_s`.

    Ticks are counted and not the clock: a machine that slept, or a container that was frozen, has not stood still.
    """
    tick_s = min(1.0, stall_s / 4)
    doing, idle_s, silent_s, left = "", 0.0, 0.0, ""
    while idle_s < stall_s and silent_s < stall_s:
        began_s = time.monotonic()
        ready, _, _ = select.select([0], [], [], tick_s)
        passed_s = min(time.monotonic() - began_s, tick_s)
        idle_s, silent_s = idle_s + passed_s if doing else 0.0, silent_s + passed_s
        if ready:
            read = os.read(0, 65536).decode()
            if not read:
                return
            *lines, left = (left + read).split("\n")
            silent_s = 0.0
            for line in lines:
                if line != _RUNS[:-1]:
                    doing, idle_s = line, 0.0
    if os.getppid() == pid:
        try:
            with open(notes, "a", encoding="utf8") as file:  # noqa: PTH123 - quicker to start without pathlib
                file.write(f"{who} gave no sign of life for {stall_s:g} s ({doing or 'at rest'}): it is ended\n")
        finally:
            os.kill(pid, signal.SIGKILL)


if __name__ == "__main__":
    _guard(float(sys.argv[1]), sys.argv[2], sys.argv[3], int(sys.argv[4]))
