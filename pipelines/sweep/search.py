"""What is tried next, and what is stopped early: Ray Tune's OptunaSearch on the study that is the sweep's memory.

OptunaSearch alone forgets, with its driver, which trials were under way; it knows no failed trial's reason, and takes
one that was stopped early for a finished one.
"""

import math
import time
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import optuna
from optuna.pruners import BasePruner
from optuna.trial import Trial, TrialState
from ray.tune.search.optuna import OptunaSearch
from ray.tune.search.searcher import Searcher

from pipelines.sweep.places import TrialPlace, place_of
from pipelines.sweep.study import (
    DRIVER,
    FOLDER,
    REASON,
    SECONDS,
    SENSITIVITY,
    begun,
    claiming,
    left_behind,
    of_database,
    sampler,
)
from system.errors import MachineFault
from tune_spaces import Setting, Space, ask

STEP, STOPPED, FAULT, SETTING, NUMBER = "step", "stopped_after", "fault", "setting", "number"
"""What a trial reports, and is given, beside its measures."""
LOST = "its process was lost again and again"


class StudySearch(OptunaSearch):
    """Gives Ray Tune the study's next trial, and writes each trial's values and end into the study."""

    def __init__(  # noqa: PLR0913 - what is searched, where, by whom, and for how long
        self,
        study: optuna.Study,
        space: Space,
        out: Path,
        *,
        driver: str,
        wanted: int,
        seed: int,
        pruner: BasePruner,
        hours: float = 0.0,
        never_stopped: Setting | None = None,
        of_url: bool = False,
    ) -> None:
        """Begin nothing.

        study: with the settings enqueued that are tried first
        driver: this one's name;  wanted: trials of the study in all
        hours: after which no trial is begun any more; 0 = no limit
        never_stopped: a setting that is tried to its end, as the others are held against it
        of_url: the study's database is that of --storage
        """
        objectives = (SENSITIVITY, SECONDS)[: len(study.directions)]
        modes = ["max" if each.name == "MAXIMIZE" else "min" for each in study.directions]
        super().__init__(
            self._setting_of,
            metric=objectives[0] if len(objectives) == 1 else list(objectives),
            mode=modes[0] if len(modes) == 1 else modes,
            sampler=sampler(space, seed=seed),
            study_name=study.study_name,
            storage=study._storage,  # Optuna gives no other access to it
        )
        assert self._ot_study is not None
        self._ot_study.pruner = pruner
        self.space, self.out, self.driver, self.wanted, self.seed = space, out, driver, wanted, seed
        self.never_stopped = never_stopped
        self.fault: MachineFault | None = None  # for which the sweep ends
        self._of_url = of_url
        self._until_s = time.monotonic() + 3600 * hours if hours else math.inf
        self._places: dict[str, TrialPlace] = {}  # by Ray's name of the trial

    @property
    def study(self) -> optuna.Study:
        """The study."""
        assert self._ot_study is not None
        return self._ot_study

    def suggest(self, trial_id: str) -> dict[str, Any] | None:
        """Return the next trial: one that was left behind, one that waits, or one that is drawn; else the end."""
        found: dict[str, Any] | None = None
        with self.fault_ends_it():
            found = self._next(trial_id)
        return found or Searcher.FINISHED  # type: ignore[return-value]

    def _next(self, trial_id: str) -> dict[str, Any] | None:
        """Return the next trial, None where there is to be none."""
        if self.fault or time.monotonic() > self._until_s:
            return None
        with claiming(self.out):
            while True:
                if left := left_behind(self.study, self.out, but=self.driver):
                    self._ot_trials[trial_id] = Trial(self.study, left[0]._trial_id)
                else:
                    number = len(begun(self.study))
                    if number >= self.wanted:
                        return None
                    self.study.sampler = sampler(self.space, seed=self.seed + number)
                with _without_advice():
                    setting = super().suggest(trial_id)
                assert setting is not None
                trial, place = self._ot_trials[trial_id], place_of(self.out, setting)
                trial.set_user_attr(DRIVER, self.driver)
                if not (twin := self._twin_of(trial, place)):
                    break
                self._fail(trial_id, f"trial {twin} has the same setting, and runs")
            trial.set_user_attr(FOLDER, place.folder)
        place.begin(setting)
        self._places[trial_id] = place
        return {SETTING: setting, NUMBER: trial.number}

    @contextmanager
    def fault_ends_it(self) -> Iterator[None]:
        """Keep a fault of the storage or of the database, for which the sweep ends; Tune would go on without it."""
        try:
            yield
        except Exception as error:
            fault = error if isinstance(error, MachineFault) else of_database(error, of_url=self._of_url)
            if not isinstance(fault, MachineFault):
                raise
            self.fault = self.fault or fault

    def _twin_of(self, trial: Trial, place: TrialPlace) -> str:
        """Return the number of another trial that works in the place; "" without one."""
        running = self.study.get_trials(deepcopy=False, states=(TrialState.RUNNING,))
        others = (each for each in running if each.number != trial.number)
        return next((str(each.number) for each in others if each.user_attrs.get(FOLDER) == place.folder), "")

    def _fail(self, trial_id: str, reason: str) -> None:
        trial = self._ot_trials.pop(trial_id)
        trial.set_user_attr(REASON, reason)
        self.study.tell(trial, state=TrialState.FAIL)

    def _setting_of(self, trial: Any) -> None:
        """Have a trial suggest its setting; OptunaSearch takes note of it."""
        ask(self.space, trial)

    def on_trial_result(self, trial_id: str, result: dict[str, Any]) -> None:
        """Tell the study a value on the way, and end the trial early where the pruner says so."""
        if STEP not in result or len(self.study.directions) > 1:
            return
        trial: Trial = self._ot_trials[trial_id]
        with self.fault_ends_it():
            told = self.study.get_trials(deepcopy=False)[trial.number].intermediate_values
            if result[STEP] not in told:
                trial.report(float(result[SENSITIVITY]), result[STEP])
            if trial.should_prune() and trial.params != self.never_stopped:
                self._places[trial_id].stop.touch()

    def on_trial_complete(self, trial_id: str, result: dict[str, Any] | None = None, error: bool = False) -> None:
        """Tell the study how a trial ended; one that a fault of the machine ended stays to be done again."""
        found = result or {}
        if fault := found.get(FAULT, ""):
            self.fault = self.fault or MachineFault(fault)
            return
        with self.fault_ends_it():
            self._tell(trial_id, found, error=error)

    def _tell(self, trial_id: str, found: dict[str, Any], *, error: bool) -> None:
        trial: Trial = self._ot_trials[trial_id]
        reason = found.get(REASON, "")
        if error or SECONDS not in found:
            reason = reason or LOST
        elif math.isnan(found[SENSITIVITY]):
            reason = reason or "validation has no lesion to find"
        if reason:
            self._fail(trial_id, reason)
            return
        trial.set_user_attr(SECONDS, found[SECONDS])
        if found[STOPPED]:
            self.study.tell(trial, state=TrialState.PRUNED)
            return
        self.study.tell(trial, [found[SENSITIVITY], found[SECONDS]][: len(self.study.directions)])

    def save(self, checkpoint_path: str) -> None:
        """Write nothing: the study is the memory."""
        Path(checkpoint_path).touch()

    def restore(self, checkpoint_path: str) -> None:
        """Read nothing: the study is the memory."""


@contextmanager
def _without_advice() -> Iterator[None]:
    """Keep it from the user that a draw took longer than a second: on a busy machine or database it may."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Define-by-run function", category=UserWarning)
        yield
