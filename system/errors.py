"""Errors by their owner: what a user can mend is a `UserError`, all else a fault of ours or of the machine."""


class UserError(ValueError):
    """A mistake that the user can mend; the text says what is wrong, what was found and what to do.

    The command line prints the text as one line and ends with exit code 2. A ValueError, so that pydantic's
    validators may raise it.
    """


class NotFinished(UserError):
    """What was asked for has not been made yet: a stage without a manifest, a folder that holds no run."""


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

    def refuse(self) -> None:
        """Raise UserError with one line for each mistake, if there is any."""
        if self._all:
            more = len(self._all) - self._shown
            raise UserError("\n".join([*self._all[: self._shown], *([f"and {more} more lines"] if more > 0 else [])]))
