"""Where the command of this process is, for people: read when it is stopped, and shown while it trains."""

from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass

LIVE = 15  # level of a line that replaces the one before it on a terminal; below INFO, so that files do not get it
LIVE_LOGGER = "mammoloop.live"


@dataclass
class Place:
    """What is being done, and how far it is."""

    doing: str = ""  # with its preposition: "in round 2, retrain", "while Ray was starting"; "" = nothing that goes on
    how_far: str = ""  # "epoch 3 of 15"; "" = not known

    def in_words(self) -> str:
        """Return both, e.g. "in round 2, retrain, epoch 3 of 15"; empty where nothing is known."""
        return ", ".join(filter(None, (self.doing, self.how_far))) if self.doing else ""

    @contextmanager
    def at(self, doing: str) -> Generator[None]:
        """Be there while the block runs; afterwards where it was before."""
        before = self.doing, self.how_far
        self.doing, self.how_far = doing, ""
        try:
            yield
        finally:
            self.doing, self.how_far = before


PLACE = Place()
