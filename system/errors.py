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
