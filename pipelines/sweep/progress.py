"""What people see of a sweep while it runs: a live table, and a line of the log as each trial ends."""

import logging
import math
import shutil
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import optuna

from pipelines.sweep.search import FAULT, LOST, STEP, STOPPED
from pipelines.sweep.study import REASON, SECONDS, SENSITIVITY, begun
from pipelines.sweep.watching import Given, Watching
from system.durations import duration_in_words
from system.figures import format as text
from system.figures.layout import fitted
from system.figures.sweep_words import setting_in_words
from system.figures.table import Table
from system.place import LIVE, LIVE_LOGGER, PLACE
from tune_spaces import Setting

log = logging.getLogger(__name__)
live = logging.getLogger(LIVE_LOGGER)


@dataclass
class _Running:
    """A trial under way."""

    trial: Given
    num_steps: int  # epochs or rounds that it may take; 0 = not known
    began_s: float
    step: int = 0
    value: float = math.nan

    def left_s(self, usual_s: float) -> float:
        """Return about how long it still takes. usual_s: what the ended ones took, NaN before the first."""
        elapsed = time.monotonic() - self.began_s
        if self.step and self.num_steps:
            return elapsed / self.step * (self.num_steps - self.step)
        return usual_s - elapsed


@dataclass
class Told(Watching):
    """Logs each trial's end, and shows those under way as a live table."""

    study: optuna.Study
    wanted: int
    at_once: int
    num_steps: Callable[[Setting], int]
    _running: dict[str, _Running] = field(default_factory=dict[str, _Running])
    _took_s: list[float] = field(default_factory=list[float])

    def begun(self, trial: Given) -> None:
        """Show it."""
        self._running[trial.name] = _Running(trial, self.num_steps(trial.setting), time.monotonic())
        self._show()

    def reported(self, trial: Given, result: dict[str, Any]) -> None:
        """Show its value on the way."""
        if STEP in result and (running := self._running.get(trial.name)):
            running.step, running.value = result[STEP], result[SENSITIVITY]
            self._show()

    def ended(self, trial: Given, result: dict[str, Any] | None) -> None:
        """Log how it ended."""
        running, found = self._running.pop(trial.name, None), result or {REASON: LOST}
        if FAULT in found:
            return  # the sweep ends with it
        if running and REASON not in found:
            self._took_s.append(time.monotonic() - running.began_s)
        number, done, what = trial.number, self._how_far(), setting_in_words(trial.setting)
        if reason := found.get(REASON):
            log.warning("trial %d failed (%s): %s", number, what, reason)
        elif found.get(STOPPED):
            value, steps = text.share(found[SENSITIVITY]), found[STOPPED]
            log.info("trial %d was stopped early, %s after %d: %s; %s", number, value, steps, what, done)
        else:
            value, took = text.share(found[SENSITIVITY]), duration_in_words(found[SECONDS])
            log.info("trial %d reached %s in %s: %s; %s", number, value, took, what, done)
        self._show()

    def _usual_s(self) -> float:
        return sum(self._took_s) / len(self._took_s) if self._took_s else math.nan

    def _how_far(self) -> str:
        ended = sum(trial.state.is_finished() for trial in begun(self.study))
        PLACE.how_far = f"{ended} of {self.wanted} trials done"
        left, usual = max(0, self.wanted - ended), self._usual_s()
        if not left or math.isnan(usual):
            return PLACE.how_far
        return f"{PLACE.how_far}, about {duration_in_words(usual * math.ceil(left / self.at_once))} left"

    def _show(self) -> None:
        if not self._running:
            live.log(LIVE, "")
            return
        table = Table()
        for heading in ("trial", "epoch", "value", "left", "setting"):
            table.add_column(heading, right=heading in {"epoch", "value", "left"})
        for running in self._running.values():
            left_s = running.left_s(self._usual_s())
            table.add_row(
                str(running.trial.number),
                f"{running.step}/{running.num_steps}" if running.num_steps else "–",
                text.share(running.value),
                "–" if math.isnan(left_s) else duration_in_words(left_s),
                setting_in_words(running.trial.setting),
            )
        lines = fitted(table.columns(), shutil.get_terminal_size().columns - 1)
        live.log(LIVE, "%s", "\n".join([f"{self._how_far()}, {len(self._running)} under way", *lines]))
