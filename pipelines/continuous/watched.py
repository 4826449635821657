"""A run that is watched: by which plan, with which commands, by which clock; and the lease that a watcher holds."""

import logging
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Protocol

from system.continuous import decisions, registry
from system.continuous.decisions import Kind, Line
from system.continuous.plan import Plan
from system.continuous.registry import Said
from system.continuous.situation import Situation
from system.errors import MachineFault, UserError
from system.faults import storage
from system.run import watching
from system.run.folder import RunFolder
from system.run.lock import taken

log = logging.getLogger(__name__)


class Failed(MachineFault):
    """A command ended with an error or ran out of its time; the text says which and how. The next look tries again."""


class Commands(Protocol):
    """The product's commands, each of which goes on where it was. Raises Failed."""

    def ingest(self) -> dict[str, float]:
        """Take in what is new in the sources, and return when something last came, by source: seconds since 1970."""
        ...

    def catch_up(self, system: str) -> None:
        """Label, infer and sort what has come, with a system's model."""
        ...

    def retrain(self, system: str) -> None:
        """Train and measure one more round, from a system; or end the one that was begun."""
        ...


@dataclass(frozen=True)
class Watched:
    """A run that is watched, and by what."""

    archive_uri: str
    run: RunFolder
    plan: Plan
    commands: Commands
    now_s: Callable[[], float] = time.time

    @property
    def folder(self) -> Path:
        """Where the log of decisions and their pages lie."""
        return self.run.path / watching.FOLDER

    def said(self, why: str) -> Said:
        """Return the plan as the one who changes the registry now."""
        at = datetime.fromtimestamp(self.now_s(), UTC).isoformat(timespec="seconds")
        return Said(at, f"{registry.BY_PLAN}{self.plan.digest}", why)

    def note(
        self, kind: Kind, reason: str, *, model: str = "", number: int = 0, situation: Situation | None = None
    ) -> None:
        """Log a decision, unless it goes on as it was. number: of the round that it begins."""
        lines = decisions.read(self.folder)
        line = Line(len(lines) + 1, self.now_s(), self.plan.digest, kind, reason, model, number, situation)
        if decisions.is_news(line, lines):
            decisions.append(self.folder, line)
            log.log(logging.WARNING if kind in ("alert", "failed") else logging.INFO, "%s: %s", kind, reason)


@contextmanager
def lease(run: RunFolder) -> Iterator[None]:
    """Hold a run for this watcher; the lease ends with the process. Raises UserError where another watches it."""
    lock = run.path / watching.LOCK
    with storage(lock.parent):
        lock.parent.mkdir(parents=True, exist_ok=True)
        opened = lock.open("w")
    with opened as held:
        if not taken(held):
            raise UserError(f"another watcher holds run {run.name}: stop that one first")
        yield
