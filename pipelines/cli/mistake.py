"""Separate a user's mistake from a fault of ours, also where it comes back from a worker of Ray."""

import sys

from system.errors import UserError


def mistake_in(error: BaseException) -> str:
    """Return the text of the user's mistake that an error is or carries; "" where it is no mistake of theirs."""
    cause = error
    if "ray" in sys.modules:  # otherwise it cannot have come through it, and importing Ray takes a second
        from pipelines.cluster import plain_cause

        cause = plain_cause(error)
    return str(cause) if isinstance(cause, UserError) else ""
