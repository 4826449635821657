"""Separate a user's mistake from a fault of ours, also where it comes back from a worker of Ray."""

import errno
import sys
from pathlib import PurePath

from system.errors import UserError
from system.files.names import readable


def mistake_in(error: BaseException) -> str:
    """Return the text of the user's mistake that an error is or carries; "" where it is no mistake of theirs."""
    cause = error
    if "ray" in sys.modules:  # otherwise it cannot have come through it, and importing Ray takes a second
        from pipelines.cluster import plain_cause

        cause = plain_cause(error)
    return str(cause) if isinstance(cause, UserError) else _of_a_place(cause)


def _of_a_place(error: BaseException) -> str:
    """Return what is wrong with a place that may not be written or read, or is no folder or file as it should be."""
    read_only = isinstance(error, OSError) and error.errno == errno.EROFS
    if not read_only and not isinstance(error, (PermissionError, IsADirectoryError, NotADirectoryError)):
        return ""
    name = getattr(error, "filename", None) or "a file or folder"
    shown = readable(PurePath(name).name) if isinstance(name, str) else str(name)
    return f"{shown}: {getattr(error, 'strerror', None) or error}; change its permissions, or choose another place"
