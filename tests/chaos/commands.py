"""Start a command of the product in a session of its own, follow it, and end what is left of it."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from tests.chaos.victims import Process, session_of

POLL_S = 0.03
GRACE_S = 30.0  # Ray's processes notice by themselves that their driver or raylet is gone


@dataclass(frozen=True)
class Window:
    """A stage as it went in the calm run."""

    seconds: float
    lines: int  # logged meanwhile


class Command:
    """One start of a command. Its process leads a session, by which all that it starts is found."""

    def __init__(self, words: list[str], *, folder: Path, environment: Mapping[str, str], log: Path) -> None:
        """folder: where it is typed;  log: without suffix, gets .out and .err."""
        self.out, self.err = log.with_suffix(".out"), log.with_suffix(".err")
        with self.out.open("wb") as out, self.err.open("wb") as err:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "pipelines", *words],
                cwd=folder,
                env=dict(environment),
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=err,
                start_new_session=True,
            )
        self.pid, self._start_s = self._process.pid, time.monotonic()
        self._end_s = 0.0  # 0 = it runs

    @property
    def code(self) -> int | None:
        """The exit code as a shell has it, 128 + n for signal n; None while it runs."""
        found = self._process.poll()
        if found is not None and not self._end_s:
            self._end_s = time.monotonic()
        return 128 - found if found is not None and found < 0 else found

    @property
    def seconds(self) -> float:
        """Since its start, or in all when its end was seen."""
        return (self._end_s or time.monotonic()) - self._start_s

    def num_lines(self) -> int:
        """Return how many lines it has logged."""
        return self.err.read_bytes().count(b"\n")

    def output(self) -> str:
        """Return all that it wrote."""
        return "\n".join(path.read_text(encoding="utf8", errors="replace") for path in (self.out, self.err))

    def errors(self) -> str:
        """Return what it wrote to standard error."""
        return self.err.read_text(encoding="utf8", errors="replace")

    def wait(self, limit_s: float, *, meanwhile: Callable[[], None] = lambda: None) -> bool:
        """Wait until it has ended, and return whether it did within the limit. meanwhile: called at each look."""
        while self.code is None:
            if self.seconds > limit_s:
                return False
            meanwhile()
            time.sleep(POLL_S)
        meanwhile()
        return True

    def send(self, pid: int, number: signal.Signals) -> None:
        """Send a signal to a process of this session; it may have ended meanwhile."""
        if any(each.pid == pid for each in self.living()):
            with suppress(ProcessLookupError):
                os.kill(pid, number)

    def living(self) -> list[Process]:
        """Return the living processes of its session."""
        self._process.poll()  # so that a driver that has ended is no zombie
        return session_of(self.pid)

    def left_behind(self) -> list[Process]:
        """Return what still lives of its session after a grace."""
        deadline_s = time.monotonic() + GRACE_S
        while (living := self.living()) and time.monotonic() < deadline_s:
            time.sleep(POLL_S)
        return living

    def end(self) -> None:
        """Kill whatever lives of its session."""
        while living := self.living():
            for each in living:
                self.send(each.pid, signal.SIGKILL)
            time.sleep(POLL_S)
        self._process.wait()


@dataclass
class Clock:
    """Measure the stages of a run while its command runs."""

    run: Path
    command: Command
    windows: dict[str, Window] = field(default_factory=dict[str, Window])
    _begun: dict[str, tuple[float, int]] = field(default_factory=dict[str, tuple[float, int]])
    stages: tuple[str, ...] = ()  # to look for

    def look(self) -> None:
        """Take the time of what has begun or ended since the last look."""
        for stage in self.stages:
            folder = self.run / stage
            if stage not in self._begun and folder.exists():
                self._begun[stage] = self.command.seconds, self.command.num_lines()
            if stage in self._begun and stage not in self.windows and (folder / "manifest.json").exists():
                begin_s, line = self._begun[stage]
                self.windows[stage] = Window(self.command.seconds - begin_s, self.command.num_lines() - line)
