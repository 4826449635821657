"""Errors by their owner: what a user can mend is a `UserError`, the machine's a `MachineFault`, all else is ours."""


class UserError(ValueError):
    """A mistake that the user can mend; the text says what is wrong, what was found and what to do.

    The command line prints the text as one line and ends with exit code 2. A ValueError, so that pydantic's
    validators may raise it.
    """


class NotFinished(UserError):
    """What was asked for has not been made yet: a stage without a manifest, a folder that holds no run."""


class MachineFault(Exception):
    """A fault of a storage or of a machine: a full disk, a store that does not answer, a process that was killed.

    The text says what failed, where, and what to do; it names no file of a source. Nothing is recorded of what was
    being done. The command line prints the text as one line and ends with exit code 75 (EX_TEMPFAIL of sysexits.h):
    the same command goes on. Neither an OSError nor a ValueError: who catches those takes them for a file's fault.
    """


class WorkerLost(MachineFault):
    """A process of a cluster was killed or lost, or stood still: another try may well succeed."""


class Mistakes:
    """Mistakes in a user's file, collected so that all of them can be mended at once."""

    def __init__(self, *, shown: int = 50) -> None:
        """shown: mistakes that are named; those beyond are counted."""
        self._all: list[str] = []
        self._shown = shown

    def add(self, text: str) -> None:
        """Keep one mistake: where it is, what is wrong, what was found and what to do."""
        self._all.append(text)

    def __len__(self) -> int:
        """Return how many there are so far."""
        return len(self._all)

    def lines(self) -> list[str]:
        """Return one line for each mistake that is named, and one with the number of the others."""
        more = len(self._all) - self._shown
        return [*self._all[: self._shown], *([f"and {more} more lines"] if more > 0 else [])]

    def refuse(self) -> None:
        """Raise UserError with one line for each mistake, if there is any."""
        if self._all:
            raise UserError("\n".join(self.lines()))
