"""Do one strike: begin as the calm run did, hit, start the same words again until they end with 0, check."""

import os
import shutil
import signal
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass, field
from pathlib import Path

from tests.chaos import checks
from tests.chaos.checks import State
from tests.chaos.commands import POLL_S, Clock, Command, Window
from tests.chaos.faults import SECRET, Disk, size_of
from tests.chaos.history import History
from tests.chaos.place import Workplace
from tests.chaos.schedule import TARGETS, Strike
from tests.chaos.victims import choose
from tests.chaos.words import STEPS, private_texts, words_of, write_source

MAX_STARTS = 6
PATIENCE = 5.0  # times the calm run's time
MORE_PATIENCE_S = 150.0
OPERATOR_S = 5.0  # after which somebody kills a driver that stands still
CALM_LIMIT_S = 3600.0
CALM_STARTS = 3


class NotCalm(RuntimeError):
    """A step fails by itself: there is nothing to compare strikes with."""


@dataclass(frozen=True)
class Calm:
    """A step as it goes undisturbed."""

    windows: dict[str, Window]  # by stage; "" = the whole command
    growth_bytes: dict[str, int]  # what a stage, or the whole command, adds to the disk
    end: State


@dataclass
class Outcome:
    """What became of a strike."""

    strike: Strike
    codes: list[int] = field(default_factory=list[int])  # of each start
    seconds: float = 0.0
    hit: bool = False  # False: the stage was over before the victim was there
    findings: list[str] = field(default_factory=list[str])


class Nemesis:
    """Strikes at one workplace. Calm runs are done when they are first needed."""

    def __init__(self, place: Workplace, *, logs: Path, history: Path) -> None:
        self.place, self.logs, self.history = place, logs, history
        self._calm: dict[str, Calm] = {}

    def calm(self, step: str) -> Calm:
        """Return how a step goes undisturbed, and keep what is there before and after it."""
        if step in self._calm:
            return self._calm[step]
        this, stages = STEPS[step], tuple(stage for name, stage in TARGETS if name == step and stage)
        if this.after:
            self.calm(this.after)
            self.place.bring_back(f"after-{this.after}", without=this.without)
        else:
            self.place.clear()
            write_source(self.place.now)
        with _ray_folder() as ray:
            this.prepare(self.place.now, self._environment(ray))
        self.place.keep(f"before-{step}")
        before_bytes = size_of(self.place.now)
        command, clock = self._undisturbed(step, stages)
        for _ in range(1, this.starts):
            self._undisturbed(step, ())
        self.place.keep(f"after-{step}")
        windows = clock.windows | {"": Window(command.seconds, command.num_lines())}
        growth = {stage: size_of(self.place.run / stage) for stage in clock.windows}
        growth[""] = max(0, size_of(self.place.now) - before_bytes)
        self._calm[step] = Calm(windows, growth, self.place.state())
        return self._calm[step]

    def _undisturbed(self, step: str, stages: tuple[str, ...]) -> tuple[Command, Clock]:
        """Do a step; once more where it fails, for Ray gives up when a busy machine does not start it in 30 s.

        Raises NotCalm when it fails each time.
        """
        ends: list[str] = []
        while len(ends) < CALM_STARTS:
            with _ray_folder() as ray:
                command = self._start(
                    step, ray, log=self.logs / f"calm-{self.place.folder.name}-{step}-{len(ends) + 1}"
                )
                clock = Clock(self.place.run, command, stages=stages)
                try:
                    ended = command.wait(CALM_LIMIT_S, meanwhile=clock.look)
                finally:
                    command.end()
            if ended and not command.code:
                return command, clock
            ends.append(f"with {command.code}, see {command.err}")
            self.place.bring_back(f"before-{step}")
        raise NotCalm(f"undisturbed, `{step}` ended {CALM_STARTS} times, the last time {ends[-1]}")

    def strike(self, strike: Strike) -> Outcome:
        """Do a strike and return what was found."""
        calm, outcome, began_s = self.calm(strike.step), Outcome(strike), time.monotonic()
        disk = Disk(self.place.now)
        mounted: AbstractContextManager[object] = disk.mounted() if strike.victim == "disk" else nullcontext()
        if strike.victim == "disk":
            shutil.rmtree(self.place.now, ignore_errors=True)
        with mounted, _ray_folder() as ray:
            starts: list[Command] = []
            try:
                self._until_done(outcome, calm, starts, ray=ray, disk=disk)
            finally:
                if self.place.store:
                    self.place.store.trouble.end()
                for command in starts:
                    command.end()
        outcome.seconds = time.monotonic() - began_s
        return outcome

    def _until_done(self, outcome: Outcome, calm: Calm, starts: list[Command], *, ray: Path, disk: Disk) -> None:
        """Start the step's words again and again, the first time to be struck, and check after each."""
        strike = outcome.strike
        self._bring_back(strike)
        history = History(self.history, strike=strike.number)
        before = self.place.state()
        history.see(before, start=0)
        limit_s = PATIENCE * calm.windows[""].seconds + MORE_PATIENCE_S + strike.pause_s
        wanted = STEPS[strike.step].starts
        while len(starts) < MAX_STARTS and outcome.codes.count(0) < wanted:
            number = len(starts) + 1
            command = self._start(strike.step, ray, log=self.logs / f"strike-{strike.number}-{number}")
            starts.append(command)
            if number == 1:
                outcome.hit = self._hit(strike, command, calm, limit_s=limit_s, disk=disk)
            if not command.wait(limit_s):
                outcome.findings.append(f"start {number} stands still: it has not ended after {limit_s:.0f} s")
                command.end()
            self._heal(strike, disk=disk)
            outcome.codes.append(command.code or 0)
            outcome.findings += self._check(strike, calm, history, before, command, number=number)
        left = [f"{each.title[:60]} ({each.state})" for command in starts for each in command.left_behind()]
        outcome.findings += checks.sentence(left, "processes are left behind")
        if starts[-1].code == 0:
            now = self.place.state()
            outcome.findings += checks.unlike(now, calm.end) + checks.partial(now)
        else:
            outcome.findings.append(f"the command does not end with 0 after {MAX_STARTS} starts")

    def _check(
        self, strike: Strike, calm: Calm, history: History, before: State, command: Command, *, number: int
    ) -> list[str]:
        """Check what one start of the command has left, and add it to the history."""
        history.hear(command.output(), start=number)
        now = self.place.state()
        found = checks.ended_wrongly(strike, struck=number == 1, code=command.code or 0, errors=command.errors())
        found += checks.quoted(command.output(), private_texts(self.place.now) | {SECRET})
        found += checks.lost(history.facts, now, end=calm.end)
        found += checks.doubled(now) + checks.unfinished(now)
        found += checks.unacknowledged(history.said, before, now, end=calm.end)
        history.see(now, start=number)
        return [f"start {number}: {each}" for each in found]

    def _hit(self, strike: Strike, command: Command, calm: Calm, *, limit_s: float, disk: Disk) -> bool:
        """Wait for the moment, then strike; return whether there was anything to be struck within the limit."""
        if not _wait_for_stage(self.place.run, strike.stage, command, limit_s=limit_s):
            return False
        if strike.victim == "disk":
            disk.leave_room(int(strike.moment.at * calm.growth_bytes[strike.stage]))
            return True
        _wait_for_moment(strike, calm.windows[strike.stage], command)
        if strike.victim == "store":
            assert self.place.store
            self.place.store.trouble.begin(strike.fault)
            command.wait(command.seconds + strike.pause_s)
            self.place.store.trouble.end()
            return True
        pid = _wait_for_victim(strike, command, over=lambda: command.seconds > limit_s or self._over(strike.stage))
        if pid:
            _send(strike, command, pid)
        return bool(pid)

    def _over(self, stage: str) -> bool:
        return bool(stage) and (self.place.run / stage / checks.MANIFEST).exists()

    def _heal(self, strike: Strike, *, disk: Disk) -> None:
        if strike.victim == "disk":
            disk.leave_ample_room()

    def _bring_back(self, strike: Strike) -> None:
        """Let all be as before the step; of a stage within it, as if the run had been killed where it begins."""
        this = STEPS[strike.step]
        if strike.stage and not this.without:
            self.place.bring_back(f"after-{strike.step}", without=strike.stage)
        else:
            self.place.bring_back(f"before-{strike.step}")

    def _start(self, step: str, ray: Path, *, log: Path) -> Command:
        words = words_of(step, archive=self.place.archive, miner=self.place.miner)
        return Command(words, folder=self.place.now, environment=self._environment(ray), log=log)

    def _environment(self, ray: Path) -> dict[str, str]:
        root = Path(__file__).resolve().parents[2]
        return (
            dict(os.environ)
            | self.place.environment()
            | {
                "HOME": str(ray),  # Ray writes a token under it
                "RAY_TMPDIR": str(ray),
                "TMPDIR": str(ray),
                "RAY_USAGE_STATS_ENABLED": "0",
                "RAY_worker_niceness": "0",
                "OMP_NUM_THREADS": "1",
                "PYTHONPATH": os.pathsep.join(filter(None, [str(root), os.environ.get("PYTHONPATH", "")])),
            }
        )


@contextmanager
def _ray_folder() -> Iterator[Path]:
    """Give a folder with a short path for Ray's sockets; it is gone at the end, also while processes write there."""
    folder = Path(tempfile.mkdtemp(prefix="mc"))
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _wait_for_stage(run: Path, stage: str, command: Command, *, limit_s: float) -> bool:
    """Wait until a stage has begun, and return whether it did; the whole command has begun at once."""
    while stage and not (run / stage).exists():
        if command.code is not None or command.seconds > limit_s:
            return False
        time.sleep(POLL_S)
    return True


def _wait_for_moment(strike: Strike, window: Window, command: Command) -> None:
    """Wait for the share of the stage's time, or of its lines; not for ever where fewer lines are logged this time."""
    begin_s, line, share = command.seconds, command.num_lines(), strike.moment.at
    while command.code is None:
        passed = command.seconds - begin_s
        if passed >= (share if strike.moment.by == "time" else PATIENCE) * window.seconds:
            return
        if strike.moment.by == "line" and command.num_lines() - line >= max(1, round(share * window.lines)):
            return
        time.sleep(POLL_S)


def _wait_for_victim(strike: Strike, command: Command, *, over: Callable[[], bool]) -> int:
    """Return the id of the victim as soon as there is one; 0 where the stage or the command is over before."""
    while command.code is None:
        if pid := choose(command.living(), strike.victim, driver=command.pid, pick=strike.pick):
            return pid
        if over():
            return 0
        time.sleep(POLL_S)
    return 0


def _send(strike: Strike, command: Command, pid: int) -> None:
    """Send what the strike says; a driver that stands still is killed by its operator in the end."""
    match strike.fault:
        case "KILL":
            command.send(pid, signal.SIGKILL)
        case "TERM":
            command.send(pid, signal.SIGTERM)
        case "STOP":
            command.send(pid, signal.SIGSTOP)
            command.wait(command.seconds + strike.pause_s)
            command.send(pid, signal.SIGCONT)
        case _:
            command.send(pid, signal.SIGSTOP)
            if pid == command.pid:
                command.wait(command.seconds + OPERATOR_S)
                command.send(pid, signal.SIGKILL)
