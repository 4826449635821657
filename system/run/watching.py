"""What the watcher of a run last saw and decided, for those who ask how it is; read without anything heavy."""

from dataclasses import dataclass
from pathlib import Path

from pydantic import TypeAdapter

from system.files.json_in import read_record
from system.files.json_out import Measured, write_json
from system.run.lock import is_held

FOLDER = "watch"  # in the run
LOCK = f"{FOLDER}/watch.lock"  # held by the watcher; dies with it
_FILE = "status.json"


@dataclass(frozen=True)
class Watching:
    """One look of the watcher. Times are seconds since 1970."""

    looked_s: float  # when it ended
    plan: str  # digest of the plan
    decision: str  # Wait, Retrain, RefitLabels, Alert; Failed where a command failed
    reason: str
    next_look_s: float
    last_arrival_s: float | None = None  # of any source; None = nothing came yet
    promoted: str = ""  # name of the model
    promoted_title: str = ""  # its system
    promoted_mean: Measured = float("nan")  # sensitivity on test, 0 to 1
    p0: float = 0.0  # at which the pools are
    tp: int = 0
    fp: int = 0
    fn: int = 0
    num_new_samples: int = 0  # images that would train, and have not yet
    held: str = ""  # a model that waits for approval
    looks: int = 0  # how often the plan's patients were used


def write(found: Watching, *, run: Path) -> None:
    """Keep it for those who ask."""
    write_json(run / FOLDER / _FILE, found)


def read(run: Path) -> Watching | None:
    """Return the last look at a run; None where it was never watched. Raises UserError for a damaged file."""
    path = run / FOLDER / _FILE
    remedy = "remove it: the next look writes it again"
    return read_record(path, TypeAdapter(Watching), remedy=remedy) if path.exists() else None


def is_watched(run: Path) -> bool:
    """Return whether a watcher holds the run now."""
    return is_held(run, lock=LOCK)
