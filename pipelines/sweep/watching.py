"""Ray Tune's callbacks with plain arguments: a trial begins, reports, ends."""

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import Any

from ray import tune

from pipelines.sweep.search import NUMBER, SETTING
from tune_spaces import Setting


@dataclass(frozen=True)
class Given:
    """A trial, as Ray Tune was given it."""

    name: str  # Ray's
    number: int  # of the study
    setting: Setting


class Watching(tune.Callback):
    """Does nothing; what watches overrides what it wants to know. Results are those that a trial reports."""

    guard: Callable[[], AbstractContextManager[None]] = nullcontext
    """What keeps a fault of the machine: Tune prints what is raised here, and some of it does not end the sweep."""

    def begun(self, trial: Given) -> None:
        """A trial begins, or goes on after its process was lost."""

    def reported(self, trial: Given, result: dict[str, Any]) -> None:
        """A trial has reported."""

    def ended(self, trial: Given, result: dict[str, Any] | None) -> None:
        """A trial has ended. result: its last; None where its process was lost too often."""

    def on_trial_start(self, *_: Any, trial: Any, **__: Any) -> None:
        """Pass it on."""
        with self.guard():
            self.begun(_given(trial))

    def on_trial_result(self, *_: Any, trial: Any, result: dict[str, Any], **__: Any) -> None:
        """Pass it on."""
        with self.guard():
            self.reported(_given(trial), result)

    def on_trial_complete(self, *_: Any, trial: Any, **__: Any) -> None:
        """Pass it on."""
        with self.guard():
            self.ended(_given(trial), trial.last_result or {})

    def on_trial_error(self, *_: Any, trial: Any, **__: Any) -> None:
        """Pass it on."""
        with self.guard():
            self.ended(_given(trial), None)


def _given(trial: Any) -> Given:
    return Given(trial.trial_id, trial.config[NUMBER], trial.config[SETTING])
