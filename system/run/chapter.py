"""The chapters of a run: rounds that read one state of the archive.

A run begins with one. When it has come to its end and is sent further (`mammoloop selftrain --rounds +1`), the next
begins with what the archive has by then. It goes on from the models before it, and is measured on the same patients.
"""

from dataclasses import dataclass
from pathlib import Path

from system.rounds import Chosen
from system.run.results import ArchivePin
from system.run.stage import Stage


@dataclass(frozen=True)
class Chapter:
    """Some rounds of a run, up to the next chapter."""

    run: Path
    number: int  # from 1

    @property
    def archive_pin(self) -> Stage[ArchivePin]:
        """Which archive these rounds read; no files."""
        return Stage(self.run, self._name("archive"), ArchivePin)

    @property
    def chosen(self) -> Stage[Chosen]:
        """Which of the run's systems is its result after these rounds; no files."""
        return Stage(self.run, self._name("chosen"), Chosen)

    @property
    def first(self) -> int:
        """Its first round, from 1. Raises NotFinished for a chapter that is not begun, but the first."""
        return 1 if self.number == 1 else self.archive_pin.result().first_round

    @property
    def start(self) -> str:
        """Folder of the system that its first round was told to go on from; "" = as the rounds before it decided."""
        return self.archive_pin.result().start if self.archive_pin.finished else ""

    @property
    def next(self) -> "Chapter":
        """The chapter after this one, begun or not."""
        return Chapter(self.run, self.number + 1)

    def _name(self, of: str) -> str:
        return of if self.number == 1 else f"{of}_{self.number:02d}"


def chapters(run: Path) -> list[Chapter]:
    """Return the chapters of a run that are begun, in order; the first whether begun or not."""
    found = [Chapter(run, 1)]
    while (following := found[-1].next).archive_pin.finished:
        found.append(following)
    return found
