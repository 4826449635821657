"""Victims are found among the processes of one session and nowhere else."""

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.chaos.schedule import Victim
from tests.chaos.victims import Process, choose, session_of

TITLES = {
    10: "python -m pipelines selftrain",
    11: "/ray/core/src/ray/raylet/raylet --raylet_socket_name=x",
    12: "ray::DashboardAgent",
    13: "ray::RuntimeEnvAgent",
    14: "ray::MapBatches(decode_watched)",
    15: "ray::MapWorker(MapBatches(WatchedPredictor)).submit",
    16: "ray::RayTrainWorker.execute",
    17: "ray::Miner.offer",
    18: "python -m system.archive.fence",
    19: "ray::IDLE",
}
PROCESSES = [Process(pid, 10, "S", title) for pid, title in TITLES.items()]


@pytest.mark.parametrize(
    ("victim", "pid"),
    [
        ("driver", 10),
        ("raylet", 11),
        ("decoder", 14),
        ("predictor", 15),
        ("trainer", 16),
        ("miner", 17),
        ("reader", 18),
    ],
)
def test_a_victim_is_known_by_its_title(victim: Victim, pid: int) -> None:
    for pick in (0.0, 0.99):
        assert choose(PROCESSES, victim, driver=10, pick=pick) == pid
    others = [each for each in PROCESSES if each.pid != pid]
    assert choose(others, victim, driver=10, pick=0.5) == 0


def test_a_worker_is_any_of_rays_processes_that_work_for_us() -> None:
    found = [choose(PROCESSES, "worker", driver=10, pick=number / 5) for number in range(5)]
    assert found == [14, 15, 16, 17, 19]
    assert choose(PROCESSES, "worker", driver=10, pick=1.0) == 19


def test_processes_of_another_session_and_ended_ones_are_left_out(tmp_path: Path) -> None:
    for pid, state, session in ((7, "S", 7), (8, "Z", 7), (9, "S", 5), (11, "T", 7)):
        folder = tmp_path / str(pid)
        folder.mkdir()
        (folder / "stat").write_text(f"{pid} (a) name) {state} 1 {pid} {session} 0\n")
        (folder / "cmdline").write_bytes(b"ray::Miner\0\0")
    (tmp_path / "12").mkdir()  # it ends while it is looked at
    assert session_of(7, proc=tmp_path) == [Process(7, 7, "S", "ray::Miner"), Process(11, 7, "T", "ray::Miner")]


def test_what_outlives_its_driver_is_still_found_in_its_session() -> None:
    child = "import subprocess, sys; subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(60)'])"
    driver = subprocess.Popen([sys.executable, "-c", child], start_new_session=True)
    driver.wait(30)
    found = session_of(driver.pid)
    try:
        assert [each.session for each in found] == [driver.pid]
        assert "time.sleep" in found[0].title
        assert found[0].pid not in {each.pid for each in session_of(os.getsid(0))}
    finally:
        os.kill(found[0].pid, 9)
    deadline_s = time.monotonic() + 10
    while session_of(driver.pid) and time.monotonic() < deadline_s:
        time.sleep(0.05)
    assert session_of(driver.pid) == []
