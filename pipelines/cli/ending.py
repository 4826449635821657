"""How a command ends that failed: whose the error is, also where it comes back from a worker of Ray."""

import signal
import sys
from dataclasses import dataclass
from pathlib import PurePath
from types import FrameType

from system.errors import UserError
from system.faults import fault_of
from system.files.names import readable

MISTAKE = 2  # exit code: the user can mend it
FAULT = 75  # exit code: the machine's or the store's; EX_TEMPFAIL of sysexits.h
_SIGNALS = {signal.SIGINT: "stopped by Ctrl-C", signal.SIGTERM: "stopped by SIGTERM"}


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


class Stopped(BaseException):
    """A signal asked the command to end."""


class Stop:
    """Ends the command at SIGTERM and Ctrl-C, by an exception in the main thread; at the second signal at once."""

    def __init__(self) -> None:
        self.signal: signal.Signals | None = None  # that came

    def listen(self) -> None:
        """Take the signals over."""
        for number in _SIGNALS:
            signal.signal(number, self._stop)

    def ending(self) -> Ending | None:
        """Return how the command ends, None where no signal came.

        Whatever error the command ends with then came after the signal: Ray turns the exception into others.
        """
        if self.signal is None:
            return None
        return Ending(f"{_SIGNALS[self.signal]}: start the same command again, it goes on", 128 + self.signal)

    def _stop(self, number: int, _: FrameType | None) -> None:
        if self.signal is not None:
            signal.signal(number, signal.SIG_DFL)
            signal.raise_signal(number)
        self.signal = signal.Signals(number)
        raise Stopped
