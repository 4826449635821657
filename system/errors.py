"""Errors by their owner: what a user can mend is a `UserError`, all else a fault of ours or of the machine."""


class UserError(ValueError):
    """A mistake that the user can mend; the text says what is wrong, what was found and what to do.

    The command line prints the text as one line and ends with exit code 2. A ValueError, so that pydantic's
    validators may raise it.
    """


class NotFinished(UserError):
    """What was asked for has not been made yet: a stage without a manifest, a folder that holds no run."""
