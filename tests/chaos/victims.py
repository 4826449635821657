"""Find the processes of one command: those of the session that its driver leads, and no others of this machine.

Ray's processes, their workers and what these start stay in the session of the driver, also when it is dead.
"""

import re
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from pipelines.workers.decode import decode_watched
from pipelines.workers.watched import WatchedPredictor
from tests.chaos.schedule import Victim

ZOMBIE = "Z"
# What the command line of each begins with or holds. Ray writes a worker's class and task into it.
TITLES: dict[Victim, str] = {
    "raylet": r"/raylet/raylet ",
    "worker": r"^ray::(?!DashboardAgent|RuntimeEnvAgent)",
    "miner": r"^ray::Miner",
    "reader": r"system\.archive\.fence",
    "decoder": rf"^ray::.*{decode_watched.__name__}",
    "predictor": rf"^ray::.*{WatchedPredictor.__name__}",
    "trainer": r"^ray::RayTrainWorker",
}


@dataclass(frozen=True, slots=True)
class Process:
    """One process, as /proc shows it."""

    pid: int
    session: int
    state: str  # R, S, D, T (stopped), Z (ended, not yet waited for)
    title: str  # its command line


def session_of(driver: int, *, proc: Path = Path("/proc")) -> list[Process]:
    """Return the living processes of the session that a driver leads or led, by id."""
    found = []
    for folder in proc.glob("[0-9]*"):
        with suppress(OSError):  # it ended meanwhile
            fields = (folder / "stat").read_text().rpartition(")")[2].split()
            title = (folder / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace").strip()
            found.append(Process(int(folder.name), int(fields[3]), fields[0], title))
    return sorted(
        (each for each in found if each.session == driver and each.state != ZOMBIE), key=lambda each: each.pid
    )


def left_of(driver: int, *, within_s: float) -> list[Process]:
    """Return what still lives of a driver's session after a while; as soon as nothing does, an empty list."""
    deadline_s = time.monotonic() + within_s
    while (left := session_of(driver)) and time.monotonic() < deadline_s:
        time.sleep(0.2)
    return left


def choose(processes: list[Process], victim: Victim, *, driver: int, pick: float) -> int:
    """Return the id of a victim among the processes of a session; 0 where there is none.

    pick: 0 to 1, which of several
    """
    if victim == "driver":
        pids = [each.pid for each in processes if each.pid == driver]
    else:
        pids = [each.pid for each in processes if re.search(TITLES[victim], each.title)]
    return pids[min(int(pick * len(pids)), len(pids) - 1)] if pids else 0
