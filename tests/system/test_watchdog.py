"""A process that stands still is ended, one that works or rests is not."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from system.watchdog import StallLimit, watchdog

WATCHED = """
import sys, threading, time
from system.watchdog import StallLimit, Watchdog
watch = Watchdog(StallLimit(float(sys.argv[1]), sys.argv[2]), who="a predictor")
with watch.during("shard 7"):
    print("ready", flush=True)
    {work}
{after}
print("done", flush=True)
"""
STALL_S = 1.0


def watched(tmp_path: Path, *, work: str, after: str = "") -> subprocess.Popen[bytes]:
    code = WATCHED.format(work=work, after=after)
    process = subprocess.Popen(
        [sys.executable, "-c", code, str(STALL_S), str(tmp_path / "notes")], stdout=subprocess.PIPE
    )
    assert process.stdout is not None
    assert process.stdout.readline() == b"ready\n"
    return process


def ended(process: subprocess.Popen[bytes]) -> tuple[int, bytes]:
    out, _ = process.communicate(timeout=60)
    return process.returncode, out


def test_a_stopped_process_is_ended_and_noted(tmp_path: Path) -> None:
    process = watched(tmp_path, work="time.sleep(60)")
    process.send_signal(signal.SIGSTOP)
    assert ended(process) == (-signal.SIGKILL, b"")
    assert (tmp_path / "notes").read_text() == "a predictor gave no sign of life for 1 s (shard 7): it is ended\n"


@pytest.mark.parametrize(
    "work",
    [
        pytest.param("threading.Lock().acquire() and threading.Event().wait()", id="waits without end"),
        pytest.param("sys.stdin.readline() if False else time.sleep(60)", id="sleeps"),
        pytest.param("watch.alive('shard 8'); time.sleep(60)", id="stands still later"),
    ],
)
def test_a_process_that_stands_still_by_itself_is_ended(tmp_path: Path, work: str) -> None:
    assert ended(watched(tmp_path, work=work)) == (-signal.SIGKILL, b"")
    assert (tmp_path / "notes").read_text().count("\n") == 1


def test_a_slow_process_that_gives_signs_of_life_is_left_alone(tmp_path: Path) -> None:
    work = "[(time.sleep(0.1), watch.alive('step')) for _ in range(20)]"
    assert ended(watched(tmp_path, work=work)) == (0, b"done\n")
    assert not (tmp_path / "notes").exists()


def test_a_process_that_rests_is_left_alone(tmp_path: Path) -> None:
    assert ended(watched(tmp_path, work="pass", after="time.sleep(2.5)")) == (0, b"done\n")


def test_a_process_that_is_stopped_while_it_rests_is_ended(tmp_path: Path) -> None:
    process = watched(tmp_path, work="pass", after="print('rests', flush=True); time.sleep(60)")
    assert process.stdout is not None
    assert process.stdout.readline() == b"rests\n"
    process.send_signal(signal.SIGSTOP)
    assert ended(process) == (-signal.SIGKILL, b"")
    assert (tmp_path / "notes").read_text() == "a predictor gave no sign of life for 1 s (at rest): it is ended\n"


def test_a_process_whose_watcher_was_killed_goes_on(tmp_path: Path) -> None:
    process = watched(tmp_path, work="time.sleep(2)")
    (watcher,) = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
    os.kill(int(watcher), signal.SIGKILL)
    assert ended(process) == (0, b"done\n")


def test_while_one_thread_works_the_end_of_another_is_no_rest(tmp_path: Path) -> None:
    work = "exec('with watch.during(\"shard 8\"): pass'); time.sleep(60)"
    assert ended(watched(tmp_path, work=work))[0] == -signal.SIGKILL


def test_the_watching_process_ends_with_the_watched_one(tmp_path: Path) -> None:
    process = watched(tmp_path, work="time.sleep(60)")
    children = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
    assert len(children) == 1
    process.kill()
    ended(process)
    deadline = time.monotonic() + 20
    while Path(f"/proc/{children[0]}").exists():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_a_process_has_one_watchdog_for_all_tasks_of_a_limit(tmp_path: Path) -> None:
    first, second = (StallLimit(60.0, str(tmp_path / name)) for name in ("a", "b"))
    kept = watchdog(first, who="a task")
    assert watchdog(first, who="a task") is kept
    other = watchdog(second, who="a task")
    assert other is not kept
    assert kept._process.returncode == 0, "the first limit's is not ended"
    other.close()
