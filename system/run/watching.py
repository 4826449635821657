"""What the watcher of a run last saw and decided, for those who ask how it is; read without anything heavy."""

import math
from dataclasses import dataclass
from pathlib import Path

from pydantic import TypeAdapter

from system.files.atomic import write_text
from system.files.json_in import read_record
from system.files.json_out import Measured, write_json
from system.run.lock import is_held

FOLDER = "watch"  # in the run
LOCK = f"{FOLDER}/watch.lock"  # held by the watcher; dies with it
METRICS = "metrics.prom"
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
    refused_in_a_row: int = 0
    quarantined_share: Measured = float("nan")  # of the files since the last retraining


def write(found: Watching, *, run: Path) -> None:
    """Keep it for those who ask, and as metrics for a monitor."""
    write_json(run / FOLDER / _FILE, found)
    write_text(run / FOLDER / METRICS, as_metrics(found))


def as_metrics(found: Watching) -> str:
    """Return what a monitor draws and alerts on, in Prometheus' text format 0.0.4; what is not known is left out."""
    alert = found.decision in ("Alert", "Failed")
    values = {
        "looked_timestamp_seconds": ("when the watcher last looked", found.looked_s),
        "newest_arrival_timestamp_seconds": ("when something last came from any source", found.last_arrival_s),
        "alert": ("1 = a person must look, or a command failed", int(alert)),
        "held_models": ("models that wait for approval", int(bool(found.held))),
        "promoted_mean_sensitivity": ("of the promoted model on test, 0 to 1", found.promoted_mean),
        "new_samples": ("images that would train and have not yet", found.num_new_samples),
        "pool_true_positive_images": ("at the last p0", found.tp),
        "pool_false_positive_images": ("at the last p0", found.fp),
        "pool_false_negative_images": ("at the last p0", found.fn),
        "looks": ("how often the plan's patients were used", found.looks),
        "refused_in_a_row": ("candidate models since the last that was not", found.refused_in_a_row),
        "quarantined_share": ("of the files since the last retraining, 0 to 1", found.quarantined_share),
    }
    lines: list[str] = []
    for name, (what, value) in values.items():
        if value is not None and not math.isnan(value):
            lines += [f"# HELP mammoloop_watch_{name} {what}", f"# TYPE mammoloop_watch_{name} gauge"]
            lines += [f"mammoloop_watch_{name} {value:g}" if value < 1e6 else f"mammoloop_watch_{name} {value:.0f}"]
    return "\n".join(lines) + "\n"


def read(run: Path) -> Watching | None:
    """Return the last look at a run; None where it was never watched. Raises UserError for a damaged file."""
    path = run / FOLDER / _FILE
    remedy = "remove it: the next look writes it again"
    return read_record(path, TypeAdapter(Watching), remedy=remedy) if path.exists() else None


def is_watched(run: Path) -> bool:
    """Return whether a watcher holds the run now."""
    return is_held(run, lock=LOCK)
