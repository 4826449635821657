"""What the trials of a sweep left on disk: read back, ranked, shown and written as tables.

Each setting has a folder of its own, named by it.
"""

import hashlib
import json
import math
from dataclasses import dataclass
from pathlib import Path

from system.config import RunConfig, as_yaml
from system.figures import format as text
from system.figures.table import Table
from system.files.atomic import write_text
from system.files.csv_out import write_csv
from system.files.json_out import as_json
from system.run.results import TrialResult
from system.run.stage import Stage
from system.run.systems import System
from tune_spaces import Setting

SETTINGS = "settings.json"  # written when a trial begins
RESULT = "result"  # the stage that ends it


@dataclass(frozen=True)
class Trial:
    """One setting and what it reached on validation."""

    settings: Setting
    mean: float  # sensitivity, mean over the operating points, 0 to 1
    interval: tuple[float, float]  # 95 %
    sensitivity: dict[str, float]  # by false positives per image
    folder: str  # relative to the sweep


def trial_name(settings: Setting) -> str:
    """Return the folder name of a setting: the same for the same values, whatever their order."""
    text = json.dumps({key: float(value) for key, value in settings.items()}, sort_keys=True)
    return f"trial_{hashlib.sha256(text.encode()).hexdigest()[:12]}"


def trial_system(out: Path, settings: Setting) -> System:
    """Return the system that a trial trains, its stages below the sweep's folder `out`."""
    name = trial_name(settings)
    return System(out, f"trials/{name}", name)


def trial_folder(out: Path, settings: Setting) -> Path:
    """Return the folder of a setting."""
    return out / "trials" / trial_name(settings)


def trial_result(out: Path, settings: Setting) -> Stage[TrialResult]:
    """Return the stage that ends a trial."""
    return Stage(out, f"trials/{trial_name(settings)}/{RESULT}", TrialResult)


def read_trials(out: Path) -> list[Trial]:
    """Return the finished trials of a sweep, by folder name."""
    stages = [Stage(out, f"trials/{folder.name}/{RESULT}", TrialResult) for folder in _folders(out)]
    return [_as_trial(stage) for stage in stages if stage.finished]


def read_unfinished(out: Path) -> list[dict[str, float]]:
    """Return the settings of the trials that were begun and not ended."""
    begun = [folder for folder in _folders(out) if (folder / SETTINGS).exists()]
    open_ones = [folder for folder in begun if not Stage(out, f"trials/{folder.name}/{RESULT}", TrialResult).finished]
    return [json.loads((folder / SETTINGS).read_text(encoding="utf8")) for folder in open_ones]


def _folders(out: Path) -> list[Path]:
    return sorted((out / "trials").glob("trial_*"))


def ranked(trials: list[Trial]) -> list[Trial]:
    """Return the trials by falling mean sensitivity, equal ones by name; those without a value (NaN) last."""
    return sorted(
        trials,
        key=lambda trial: (math.isnan(trial.mean), -trial.mean if not math.isnan(trial.mean) else 0, trial.folder),
    )


def results_table(trials: list[Trial], *, failed: int) -> Table:
    """Return the ranking as a table for the terminal."""
    keys = sorted({key for trial in trials for key in trial.settings})
    caution = "The best of many on the same validation patients is flattered by the choice: confirm it on test once."
    title = f"{len(trials)} trials, {failed} failed: sensitivity on validation"
    table = Table(title, note=" ".join([*_tie(trials), caution]))
    table.add_column("rank")
    for heading in [*keys, "mean", "95 % interval", *(f"{fppi} FPPI" for fppi in trials[0].sensitivity)]:
        table.add_column(heading, right=True)
    for rank, trial in enumerate(trials, start=1):
        settings = (f"{trial.settings[key]:.4g}" for key in keys)
        mean, *points = (text.share(value) for value in (trial.mean, *trial.sensitivity.values()))
        table.add_row(str(rank), *settings, mean, text.interval(trial.interval), *points)
    return table


def _tie(trials: list[Trial]) -> list[str]:
    """Return a sentence where several trials share the first place."""
    best = [trial for trial in trials if trial.mean == trials[0].mean]
    if len(best) == 1:
        return []
    return [
        f"The first {len(best)} reached the same mean; best.yaml holds the one of rank 1, by the name of its folder."
    ]


def write_results(out: Path, trials: list[Trial], *, best: RunConfig) -> None:
    """Write the ranking for machines (results.json, results.csv), and the best configuration (best.yaml)."""
    rows = [
        {**trial.settings, "mean": trial.mean, "low": trial.interval[0], "high": trial.interval[1]}
        | {f"sensitivity_at_{fppi}": value for fppi, value in trial.sensitivity.items()}
        | {"folder": trial.folder}
        for trial in trials
    ]
    write_text(out / "results.json", as_json(rows))
    columns = list(rows[0])
    write_csv(out / "results.csv", columns, [[row[column] for column in columns] for row in rows])
    write_text(out / "best.yaml", as_yaml(best))


def _as_trial(stage: Stage[TrialResult]) -> Trial:
    found = stage.result()
    return Trial(found.settings, found.mean, found.interval, found.sensitivity, stage.name.removesuffix(f"/{RESULT}"))
