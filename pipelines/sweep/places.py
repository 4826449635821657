"""Where a trial of a sweep lies, and what it left there. Each setting has a folder of its own, named by it."""

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path

from pipelines.train import EPOCHS, read_rows
from system.errors import UserError
from system.files.atomic import write_text
from system.records import Split
from system.run.folder import RunFolder
from system.run.results import TrialResult
from system.run.stage import Stage
from system.run.systems import System
from system.run.under_way import SCRATCH
from tune_spaces import Setting

SETTINGS = "settings.json"  # written when a trial begins
STOP = "stop"  # written to end it early


@dataclass(frozen=True)
class TrialPlace:
    """The folder of one trial."""

    out: Path  # of the sweep
    folder: str  # in it: trials/trial_0123456789ab

    @property
    def path(self) -> Path:
        """The folder."""
        return self.out / self.folder

    @property
    def system(self) -> System:
        """The model that it trains, of kinds stage1 and retrain."""
        return System(self.out, self.folder, Path(self.folder).name)

    @property
    def run(self) -> RunFolder:
        """The run that it is, of kind loop."""
        return RunFolder(self.path)

    @property
    def result(self) -> Stage[TrialResult]:
        """The stage that ends the trial; no files."""
        return Stage(self.out, f"{self.folder}/result", TrialResult)

    @property
    def stop(self) -> Path:
        """The file that ends it early."""
        return self.path / STOP

    def begin(self, setting: Setting) -> None:
        """Make the folder and note the setting."""
        self.path.mkdir(parents=True, exist_ok=True)
        write_text(self.path / SETTINGS, json.dumps(dict(setting), sort_keys=True))

    def values(self) -> list[float]:
        """Return the mean sensitivity on validation so far: epoch by epoch, or after Stage 1 and each round of a loop.

        NaN where validation has no lesion.
        """
        checkpoint = self.system.checkpoint
        try:
            if self.run.begun:
                return loop_values(self.run)
            rows = checkpoint.path(EPOCHS) if checkpoint.finished else checkpoint.folder / SCRATCH / EPOCHS
            return [row.validation for row in read_rows(rows)]
        except (OSError, UserError):  # it has not begun, or is being written
            return []


def place_of(out: Path, setting: Setting) -> TrialPlace:
    """Return the place of a setting: the same for the same values, whatever their order."""
    text = json.dumps({key: _as_written(value) for key, value in setting.items()}, sort_keys=True)
    return TrialPlace(out, f"trials/trial_{hashlib.sha256(text.encode()).hexdigest()[:12]}")


def _as_written(value: object) -> object:
    """Return whole numbers as the others, so that 1 and 1.0 are one setting."""
    return float(value) if isinstance(value, int) and not isinstance(value, bool) else value


def loop_values(run: RunFolder) -> list[float]:
    """Return how good the model is that a run would go on from, after Stage 1 and after each round."""
    if not run.stage1.froc(Split.VALIDATION).finished:
        return []
    systems = [run.stage1, *(run.before(each.number + 1) for each in run.trained_rounds())]
    return [system.froc(Split.VALIDATION).result().sweep.mean for system in systems]
