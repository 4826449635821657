"""Whether this process does one command and ends with it, as `mammoloop` does; a test or a notebook does more.

And which signals are this process's alone, not those of the processes that it starts.
"""

import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass


@dataclass
class OwnProcess:
    """What is known of this process."""

    ends_with_command: bool = False
    # Says the error and ends the process at once, where an exception would wait in clearing up; None: not at once.
    give_up: Callable[..., None] | None = None
    said: bool = False  # how it ends: another thread need not say it too


OWN = OwnProcess()


@contextmanager
def kept_from_children(*numbers: signal.Signals) -> Iterator[None]:
    """Let processes that the block starts never get these signals, which a terminal sends to all of a command.

    They inherit the mask. A signal that comes to this process meanwhile is handled at the block's end.
    """
    before = signal.pthread_sigmask(signal.SIG_BLOCK, numbers)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
