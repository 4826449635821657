"""What is found while a file of the user is read: mistakes, what was recognised, and what is odd but harmless."""

import logging
from dataclasses import dataclass, field

from system.errors import Mistakes

log = logging.getLogger(__name__)
_NAMED = 5  # places of one kind


@dataclass
class Kinds:
    """Observations by kind, with the places where they were made."""

    places: dict[str, list[str]] = field(default_factory=dict)

    def add(self, what: str, *, at: str = "") -> None:
        """Keep one observation. at: e.g. "line 3"; "" = of the whole file."""
        self.places.setdefault(what, []).append(at)

    def texts(self) -> list[str]:
        """Return a text for each kind: with how often it is, and where first."""
        return [_text(what, [place for place in places if place]) for what, places in self.places.items()]


@dataclass
class Reading:
    """What is found in one file. Texts of its cells are quoted only where a column has a few words to choose from."""

    mistakes: Mistakes = field(default_factory=Mistakes)  # the file is refused
    recognised: Kinds = field(default_factory=Kinds)  # written in another way than asked for, and taken
    odd: Kinds = field(default_factory=Kinds)  # taken as it is, but worth a look

    def finish(self, name: str) -> None:
        """Refuse the mistakes; log what was recognised in one line, and what is odd in a warning each.

        name: of the file
        """
        self.mistakes.refuse()
        if texts := self.recognised.texts():
            log.info("%s: read %s", name, "; ".join(texts))
        for text in self.odd.texts():
            log.warning("%s: %s", name, text)


def _text(what: str, places: list[str]) -> str:
    if not places:
        return what
    named = ", ".join(places[:_NAMED]) + (", …" if len(places) > _NAMED else "")
    return f"{what} ({len(places)} times: {named})" if len(places) > 1 else f"{what} ({named})"
