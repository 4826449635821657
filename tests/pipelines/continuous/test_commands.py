"""The commands that the watcher starts: their words, their time, their end, and sources without news."""

import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from pipelines.continuous import commands
from pipelines.continuous.commands import OwnCommands, end
from pipelines.continuous.watched import Failed
from system.continuous.plan import Intake, Limits, Plan
from tests.pipelines.continuous.scripted import PLACES, begun

Called = list[list[str]]
_START = subprocess.Popen
PLAN = Plan(intake=Intake(settle_s=0))


@pytest.fixture
def own(tmp_path: Path) -> OwnCommands:
    archive, run = begun(tmp_path, found=PLACES % 2 == 0)
    (tmp_path / "source").mkdir()
    (tmp_path / "source" / "a.dcm").write_text("a")
    (run.path / "watch").mkdir()
    words = ("--set", "resources.cluster.address=local")
    return OwnCommands(archive.uri, run, PLAN, (str(tmp_path / "source"),), "phantom", words)


def instead(monkeypatch: pytest.MonkeyPatch, code: str) -> Called:
    """Start Python with this code in place of every command, and return the words of each."""
    called: Called = []

    def started(words: list[str], *, process_group: int) -> "subprocess.Popen[bytes]":
        called.append(words[3:])
        return _START([sys.executable, "-c", code], process_group=process_group)

    monkeypatch.setattr(commands.subprocess, "Popen", started)
    return called


def test_a_source_is_taken_in_where_anything_in_it_is_new_and_only_then(
    own: OwnCommands, monkeypatch: pytest.MonkeyPatch
) -> None:
    called, source = instead(monkeypatch, ""), Path(own.sources[0])
    before_s = time.time()
    first = own.ingest()
    assert own.ingest() == first
    assert before_s <= first[own.sources[0]] <= time.time()
    (source / "b.dcm").write_text("b")
    assert own.ingest()[own.sources[0]] > first[own.sources[0]]
    assert [words[0] for words in called] == ["ingest", "ingest"]
    assert called[0][1:7] == ["--source", str(source), "--archive", own.archive_uri, "--layout", "phantom"]
    assert called[0][-2:] == list(own.words)


def test_an_empty_source_is_waited_for(own: OwnCommands, monkeypatch: pytest.MonkeyPatch) -> None:
    called = instead(monkeypatch, "")
    (Path(own.sources[0]) / "a.dcm").unlink()
    assert own.ingest() == {}
    assert called == []


def test_a_source_whose_ingest_failed_is_taken_in_again(own: OwnCommands, monkeypatch: pytest.MonkeyPatch) -> None:
    instead(monkeypatch, "raise SystemExit(75)")
    with pytest.raises(Failed, match="ingest ended with 75"):
        own.ingest()
    called = instead(monkeypatch, "")
    own.ingest()
    assert len(called) == 1


def test_a_retraining_is_one_round_more_from_the_promoted_system(
    own: OwnCommands, monkeypatch: pytest.MonkeyPatch
) -> None:
    called = instead(monkeypatch, "")
    own.retrain("round_02")
    own.catch_up("round_02")
    assert called[0][:1] + called[0][-6:-2] == ["selftrain", "--rounds", "+1", "--from", "round_02"]
    assert called[1][0] == "catch-up"
    assert called[1][-4:-2] == ["--system", "round_02"]


def test_a_command_that_hangs_is_ended(own: OwnCommands, monkeypatch: pytest.MonkeyPatch) -> None:
    plan = PLAN.changed(limits=Limits(retrain_hours=1 / 3600))
    hanging = OwnCommands(own.archive_uri, own.run, plan, own.sources, own.layout)
    instead(monkeypatch, "import time; time.sleep(600)")
    began_s = time.monotonic()
    with pytest.raises(Failed, match="selftrain was ended: it took longer than the plan's"):
        hanging.retrain("stage1")
    assert time.monotonic() - began_s < 60


def test_what_does_not_end_when_asked_is_killed_with_all_that_it_started(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(commands, "_ENDS_WITHIN_S", 1.0)
    code = (
        "import signal, subprocess, sys, time\n"
        "signal.signal(signal.SIGTERM, signal.SIG_IGN)\n"
        "child = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(600)'])\n"
        "print(child.pid, flush=True)\n"
        "time.sleep(600)"
    )
    started = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, process_group=0)
    assert started.stdout is not None
    child = int(started.stdout.readline())
    end(started)
    assert started.returncode == -signal.SIGKILL
    started.stdout.close()
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline and _runs(child):
        time.sleep(0.05)
    assert not _runs(child)


def _runs(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return False
    return state != "Z"
