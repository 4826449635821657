"""What people, TensorBoard, MLflow and optuna-dashboard are told of a sweep; no Ray is running."""

import logging
import math
import socket
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import requests

from pipelines.sweep.places import place_of
from pipelines.sweep.progress import Told
from pipelines.sweep.search import FAULT, NUMBER, STEP, STOPPED, StudySearch
from pipelines.sweep.search import SETTING as GIVEN
from pipelines.sweep.study import REASON, SECONDS, SENSITIVITY, enqueue, open_study, pruner
from pipelines.sweep.tracking import MLFLOW_URI, ForMlflow, ForTensorBoard, for_mlflow
from pipelines.sweep.watching import Given, Watching
from system.errors import UserError
from system.faults import FULL, machine_fault
from system.place import LIVE, LIVE_LOGGER
from system.run.folder import RunFolder
from tune_spaces import Choice, Range, Space

SPACE = Space({"loss.alpha": Range(0.1, 0.9), "loss.mask_labels": Choice(("soft", "hard"))})
SETTING = {"loss.alpha": 0.25, "loss.mask_labels": "soft"}
FIRST, SECOND = Given("a", 0, SETTING), Given("b", 1, {**SETTING, "loss.alpha": 0.5})
DONE: dict[str, Any] = {SENSITIVITY: 0.5, SECONDS: 61.0, STOPPED: 0}


@pytest.fixture
def told(tmp_path: Path) -> Told:
    study = open_study(tmp_path)
    enqueue(study, [FIRST.setting, SECOND.setting])
    trials = [study.ask() for _ in range(2)]
    study.tell(trials[0], 0.5)
    return Told(study, wanted=4, at_once=2, num_steps=lambda _: 5)


def lines_of(caplog: pytest.LogCaptureFixture, *, live: bool) -> list[str]:
    return [record.getMessage() for record in caplog.records if (record.name == LIVE_LOGGER) == live]


def test_each_trials_end_is_a_line(told: Told, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "pipelines.sweep.progress")
    for trial in (FIRST, SECOND, Given("c", 2, SETTING), Given("d", 3, SETTING)):
        told.begun(trial)
    told.ended(FIRST, DONE)
    told.ended(SECOND, {**DONE, SENSITIVITY: 0.1, STOPPED: 2})
    told.ended(Given("c", 2, SETTING), {REASON: "the loss was not finite", SENSITIVITY: math.nan})
    told.ended(Given("d", 3, SETTING), None)
    told.ended(Given("e", 4, SETTING), {FAULT: "the disk is full"})
    found = lines_of(caplog, live=False)
    assert found[0].startswith(
        "trial 0 reached 0.500 in 1 min 1 s: alpha 0.25, mask_labels soft; 1 of 4 trials done, about"
    )
    assert found[1].startswith("trial 1 was stopped early, 0.100 after 2: alpha 0.5")
    assert found[2] == "trial 2 failed (alpha 0.25, mask_labels soft): the loss was not finite"
    assert found[3].endswith("its process was lost again and again")
    assert len(found) == 4  # a fault of the machine is said once, at the command's end


def test_trials_under_way_are_a_live_table(told: Told, caplog: pytest.LogCaptureFixture) -> None:
    logging.getLogger(LIVE_LOGGER).propagate = True
    caplog.set_level(LIVE, LIVE_LOGGER)
    told.begun(FIRST)
    told.begun(SECOND)
    told.reported(SECOND, {SENSITIVITY: 0.41, STEP: 2})
    told.reported(SECOND, DONE)  # no step: nothing to show
    shown = lines_of(caplog, live=True)[-1].splitlines()
    assert shown[0] == "1 of 4 trials done, 2 under way"
    assert shown[1].split() == ["trial", "epoch", "value", "left", "setting"]
    assert [line.split()[:3] for line in shown[3:5]] == [["0", "0/5", "–"], ["1", "2/5", "0.410"]]
    told.ended(FIRST, DONE)
    told.ended(SECOND, DONE)
    assert lines_of(caplog, live=True)[-1] == ""


def test_a_fault_in_a_callback_ends_the_sweep_and_an_error_of_ours_is_raised(tmp_path: Path) -> None:
    class Full(Watching):
        def ended(self, trial: Given, result: dict[str, Any] | None) -> None:
            raise self.error

        error: Exception = machine_fault(FULL)

    nobody = pruner(stops_early=False, grace=1)
    search = StudySearch(open_study(tmp_path), SPACE, tmp_path, driver="me", wanted=2, seed=0, pruner=nobody)
    full = Full()
    full.guard = search.fault_ends_it
    trial = SimpleNamespace(trial_id="a", config={NUMBER: 0, GIVEN: SETTING}, last_result=DONE)
    full.on_trial_complete(iteration=1, trials=[], trial=trial)
    assert search.fault is Full.error
    full.error = ZeroDivisionError()
    with pytest.raises(ZeroDivisionError):
        full.on_trial_error(iteration=1, trials=[], trial=trial)


def test_tensorboard_gets_settings_and_measures_beside_the_curves(tmp_path: Path) -> None:
    ForTensorBoard(tmp_path).ended(FIRST, DONE)
    ForTensorBoard(tmp_path).ended(SECOND, {REASON: "it failed", SENSITIVITY: math.nan})
    folder = RunFolder(tmp_path).tensorboard(f"{place_of(tmp_path, SETTING).folder}/checkpoint")
    data = next(folder.iterdir()).read_bytes()
    assert b"_hparams_/session_start_info" in data
    assert b"loss.alpha" in data
    assert SENSITIVITY.encode() in data
    assert len(list((tmp_path / "tensorboard").rglob("events*"))) == 1


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # mlflow's own use of SQLAlchemy
def test_mlflow_gets_a_run_for_each_trial_and_goes_on_with_it(tmp_path: Path) -> None:
    mlflow = pytest.importorskip("mlflow")
    uri = f"sqlite:///{tmp_path / 'mlflow.db'}"
    first = ForMlflow("my sweep", uri)
    first.begun(FIRST)
    first.reported(FIRST, {SENSITIVITY: 0.3, STEP: 1})
    again = ForMlflow("my sweep", uri)  # the driver was killed
    again.begun(FIRST)
    again.reported(FIRST, {SENSITIVITY: 0.4, STEP: 2})
    again.ended(FIRST, DONE)
    again.begun(SECOND)
    again.ended(SECOND, {REASON: "the loss was not finite", SENSITIVITY: math.nan})
    client = mlflow.MlflowClient(tracking_uri=uri)
    runs = client.search_runs(
        [client.get_experiment_by_name("my sweep").experiment_id], order_by=["attributes.start_time"]
    )
    assert [(run.info.run_name, run.info.status) for run in runs] == [("trial 0", "FINISHED"), ("trial 1", "FAILED")]
    assert runs[0].data.params == {"loss.alpha": "0.25", "loss.mask_labels": "soft"}
    assert runs[0].data.metrics == {"validation": 0.4, SENSITIVITY: 0.5, SECONDS: 61.0}
    assert [each.value for each in client.get_metric_history(runs[0].info.run_id, "validation")] == [0.3, 0.4]
    assert runs[1].data.tags["reason"] == "the loss was not finite"


def test_without_an_address_mlflow_is_not_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(MLFLOW_URI, raising=False)
    assert for_mlflow("sweep") == []


def test_an_address_without_mlflow_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(MLFLOW_URI, "http://127.0.0.1:1")
    monkeypatch.setitem(sys.modules, "mlflow", None)
    with pytest.raises(UserError, match="mlflow is not installed: `pip install 'mammoloop"):
        for_mlflow("sweep")


def test_optuna_dashboard_opens_the_study(told: Told, tmp_path: Path) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    program = Path(sys.executable).with_name("optuna-dashboard")
    server = subprocess.Popen(
        [program, f"sqlite:///{tmp_path / 'study.db'}", "--port", str(port), "--host", "127.0.0.1"],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        studies = asked(f"http://127.0.0.1:{port}/api/studies")["study_summaries"]
        assert [each["study_name"] for each in studies] == [tmp_path.name]
        detail = asked(f"http://127.0.0.1:{port}/api/studies/{studies[0]['study_id']}")
        assert [each["state"] for each in detail["trials"]] == ["Complete", "Running"]
        assert detail["trials"][0]["values"] == [0.5]
    finally:
        server.kill()
        server.wait()


def asked(address: str) -> dict[str, Any]:
    """Return what a server answers that is starting."""
    deadline_s = time.monotonic() + 60
    while True:
        try:
            return requests.get(address, timeout=30).json()
        except requests.ConnectionError:
            if time.monotonic() > deadline_s:
                raise
            time.sleep(0.2)
