"""How a command ends that failed: whose the error is, also where it comes back from a worker of Ray."""

import multiprocessing
import os
import signal
import sys
from contextlib import suppress
from dataclasses import dataclass
from pathlib import PurePath
from threading import Timer
from types import FrameType
from typing import NoReturn

from pipelines.own_process import OWN
from system.errors import UserError
from system.faults import fault_of
from system.files.names import readable
from system.place import PLACE

MISTAKE = 2  # exit code: the user can mend it
FAULT = 75  # exit code: the machine's or the store's; EX_TEMPFAIL of sysexits.h
PATIENCE_S = 10.0  # for clearing up after a signal; what is on disk is whole at every moment, so no more is needed
_SIGNALS = {
    signal.SIGINT: "Ctrl-C",
    signal.SIGTERM: "SIGTERM",
    signal.SIGHUP: "SIGHUP, its terminal is gone",
}
_CLEAR_LINE = "\r\x1b[2K"  # ECMA-48: erase the whole line, on which something may stand


@dataclass(frozen=True)
class Ending:
    """What the command line prints, as one line, and the exit code."""

    text: str
    code: int


def ending_of(error: BaseException) -> Ending | None:
    """Return how the command ends; None for a fault of ours, which keeps its traceback."""
    cause: BaseException = error
    if "ray" in sys.modules:  # otherwise it cannot have come through it, and importing Ray takes a second
        from pipelines.ray_errors import plain_cause

        cause = plain_cause(error)
    if isinstance(cause, UserError):
        return Ending(str(cause), MISTAKE)
    if isinstance(cause, IsADirectoryError | NotADirectoryError):
        name = readable(PurePath(str(cause.filename)).name) if cause.filename else "a place"
        return Ending(f"{name}: {cause.strerror}; choose another place, or remove what is there", MISTAKE)
    fault = fault_of(cause)
    return Ending(str(fault), FAULT) if fault else None


def announce(ending: Ending) -> None:
    """Print how the command ends, on standard error; where that is gone, nowhere."""
    OWN.said = True
    with suppress(OSError, ValueError):
        clear = _CLEAR_LINE if sys.stderr.isatty() else ""
        sys.stderr.write(f"{clear}mammoloop: {ending.text}\n")
        sys.stderr.flush()


def end_process(code: int) -> NoReturn:
    """End this process now, and with it the processes that Ray has started for it."""
    for stream in (sys.stdout, sys.stderr):
        with suppress(OSError, ValueError):  # it is gone
            stream.flush()
    for process in multiprocessing.active_children():
        process.kill()
    if "ray" in sys.modules:
        with suppress(Exception):  # a signal may have come while Ray was being imported
            from pipelines.cluster import end_workers

            end_workers()
    os._exit(code)


def give_up(error: Exception, *, of_raylet: bool = False) -> None:
    """Say an error that is the user's or the machine's, and end this process at once; not where it ends already.

    of_raylet: Ray's raylet is gone: what it had started ends by itself, and Ray is about to end this process with 1
    """
    if not OWN.said and (ending := ending_of(error)):
        announce(ending)
        if of_raylet:
            os._exit(ending.code)
        end_process(ending.code)


class Stopped(BaseException):
    """A signal asked the command to end."""


class Stop:
    """Ends the command at Ctrl-C, SIGTERM and SIGHUP, by an exception in the main thread.

    A process that does one command ends at once at the second signal, and where clearing up takes long.
    """

    def __init__(self) -> None:
        self.signal: signal.Signals | None = None  # that came
        self._place = ""  # where the command was when it came
        self._patience = Timer(PATIENCE_S, self._end_now)
        self._patience.daemon = True

    def listen(self) -> None:
        """Take the signals over, but not a SIGHUP that was to be ignored: nohup lets a command outlive its terminal."""
        for number in _SIGNALS:
            if number is not signal.SIGHUP or signal.getsignal(number) is not signal.SIG_IGN:
                signal.signal(number, self._stop)

    def close(self) -> None:
        """Wait no longer for the command's end."""
        self._patience.cancel()

    def ending(self) -> Ending | None:
        """Return how the command ends, None where no signal came.

        Whatever error the command ends with then came after the signal: Ray turns the exception into others.
        """
        if self.signal is None:
            return None
        place, goes_on = (f" {self._place}", ", it goes on") if self._place else ("", "")
        text = f"stopped{place} ({_SIGNALS[self.signal]}): start the same command again{goes_on}"
        return Ending(text, 128 + self.signal)

    def _stop(self, number: int, _: FrameType | None) -> None:
        if self.signal is not None:
            self._end_now()
            raise Stopped
        self.signal, self._place = signal.Signals(number), PLACE.in_words()
        if OWN.ends_with_command:
            self._patience.start()
        raise Stopped

    def _end_now(self) -> None:
        if OWN.ends_with_command and (ending := self.ending()):
            announce(ending)
            end_process(ending.code)
