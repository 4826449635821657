"""Parameters and measures of a sweep's trials, for TensorBoard and for MLflow."""

import logging
import math
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

from pipelines.sweep.places import place_of
from pipelines.sweep.search import FAULT, LOST, STEP, STOPPED
from pipelines.sweep.study import REASON, SECONDS, SENSITIVITY
from pipelines.sweep.watching import Given, Watching
from pipelines.workers.events import EventFile
from system.errors import UserError
from system.faults import storage
from system.figures.sweep_words import text_of
from system.run.folder import RunFolder

log = logging.getLogger(__name__)
MLFLOW_URI = "MLFLOW_TRACKING_URI"
# Its own are 7 tries of 120 s each, four minutes for a server that is not there.
_MLFLOW_PATIENCE = {"MLFLOW_HTTP_REQUEST_MAX_RETRIES": "1", "MLFLOW_HTTP_REQUEST_TIMEOUT": "20"}


class ForTensorBoard(Watching):
    """Gives TensorBoard each trial's setting and what it came to, beside its curves."""

    def __init__(self, out: Path) -> None:
        """out: folder of the sweep."""
        self._out = out

    def ended(self, trial: Given, result: dict[str, Any] | None) -> None:
        """Write them. Raises MachineFault for what the storage does."""
        if not result or SECONDS not in result:
            return
        folder = RunFolder(self._out).tensorboard(f"{place_of(self._out, trial.setting).folder}/checkpoint")
        measures = {name: result[name] for name in (SENSITIVITY, SECONDS) if not math.isnan(result[name])}
        with storage(folder):
            file = EventFile(folder)
            file.set(trial.setting, measures)
            file.close()


class ForMlflow(Watching):
    """Gives MLflow's server a run for each trial: its setting as parameters, its values step by step."""

    def __init__(self, name: str, uri: str) -> None:
        """Begin the experiment, or go on with it. name: of it;  uri: of the server, or of a database.

        Raises UserError where mlflow is not installed, or the server does not answer.
        """
        for setting, value in _MLFLOW_PATIENCE.items():
            os.environ.setdefault(setting, value)
        try:
            from mlflow import MlflowClient
            from mlflow.exceptions import MlflowException
        except ImportError:
            raise UserError(
                f"{MLFLOW_URI} is set, and mlflow is not installed: `pip install 'mammoloop[mlflow]'`, or unset it"
            ) from None
        self._errors = (MlflowException, OSError)
        self._runs: dict[str, str] = {}  # Ray's name of the trial -> the run's id
        self._failed = False
        try:
            self._client = MlflowClient(tracking_uri=uri)
            found = self._client.get_experiment_by_name(name)
            self._experiment = found.experiment_id if found else self._client.create_experiment(name)
        except self._errors as error:
            raise UserError(
                f"{MLFLOW_URI}: MLflow does not answer, or not take it ({type(error).__name__}): start its server, or "
                "unset it"
            ) from error

    def begun(self, trial: Given) -> None:
        """Begin its run, or go on with that of an earlier start."""
        self._try(lambda: self._begin(trial))

    def _begin(self, trial: Given) -> None:
        name = f"trial {trial.number}"
        earlier = self._client.search_runs([self._experiment], f"tags.mammoloop_trial = '{name}'", max_results=1)
        if earlier:
            self._runs[trial.name] = earlier[0].info.run_id
            return
        run = self._client.create_run(self._experiment, run_name=name, tags={"mammoloop_trial": name})
        self._runs[trial.name] = run.info.run_id
        for key, value in trial.setting.items():
            self._client.log_param(run.info.run_id, key, value if isinstance(value, float) else text_of(value))

    def reported(self, trial: Given, result: dict[str, Any]) -> None:
        """Log its value on the way."""
        run = self._runs.get(trial.name)
        if run and STEP in result and not math.isnan(result[SENSITIVITY]):
            self._try(lambda: self._client.log_metric(run, "validation", result[SENSITIVITY], step=result[STEP]))

    def ended(self, trial: Given, result: dict[str, Any] | None) -> None:
        """End its run."""
        run, found = self._runs.get(trial.name), result or {REASON: LOST}
        if run and FAULT not in found:
            self._try(lambda: self._end(run, found))

    def _end(self, run: str, result: dict[str, Any]) -> None:
        for name in (SENSITIVITY, SECONDS):
            if name in result and not math.isnan(result[name]):
                self._client.log_metric(run, name, result[name])
        if reason := result.get(REASON):
            self._client.set_tag(run, "reason", reason)
        status = "FAILED" if REASON in result else "KILLED" if result.get(STOPPED) else "FINISHED"
        self._client.set_terminated(run, status=status)

    def _try(self, tell: Callable[[], object]) -> None:
        """Tell the server, which must not end the sweep."""
        try:
            tell()
        except self._errors as error:
            if not self._failed:
                log.warning("MLflow's server does not take it (%s): the sweep goes on", type(error).__name__)
            self._failed = True


def for_mlflow(name: str) -> list[Watching]:
    """Return the callback for MLflow where MLFLOW_TRACKING_URI is set, else none."""
    uri = os.environ.get(MLFLOW_URI, "")
    return [ForMlflow(name, uri)] if uri else []
