"""`--warm-start`: what an earlier sweep has measured, or at least its best settings."""

import logging
import math
from collections.abc import Sequence
from pathlib import Path

import optuna

from pipelines.sweep.inputs import DESCRIPTION, SweepInputs
from pipelines.sweep.places import TrialPlace
from pipelines.sweep.study import enqueue, tell_known
from system.errors import UserError
from system.run.results import TrialResult
from tune_spaces import Setting, Space

log = logging.getLogger(__name__)
_TRIED_AGAIN = 5  # settings of a sweep whose values are not comparable


def warm_start(study: optuna.Study, earlier: Path, inputs: SweepInputs, space: Space) -> None:
    """Tell a study of what an earlier sweep has measured, where that is comparable; else have its best tried first.

    Comparable is what was measured on the same run, with the same settings beside those that are varied.

    Raises UserError for a folder that holds no sweep, and where none of its settings lies in the space.
    """
    if not (earlier / DESCRIPTION).is_file():
        raise UserError(f"--warm-start {earlier}: there is no {DESCRIPTION}: name the folder of an earlier sweep")
    known = sorted(_measured(earlier, space), key=lambda each: -each.mean)
    if not known:
        raise UserError(f"--warm-start {earlier}: none of its finished trials lies in this space")
    comparable = _about(earlier) == _about(inputs.out)
    if comparable:
        values = [(each.settings, (each.mean, each.seconds)[: len(study.directions)]) for each in known]
        tell_known(study, values, space)
        log.info("%d trials of %s are known from the start", len(known), earlier.name)
        return
    best: Sequence[Setting] = [each.settings for each in known[:_TRIED_AGAIN]]
    enqueue(study, best)
    log.info(
        "%s measured other models or on another archive: its best %d settings are tried first", earlier.name, len(best)
    )


def _measured(earlier: Path, space: Space) -> list[TrialResult]:
    folders = sorted((earlier / "trials").glob("trial_*"))
    stages = [TrialPlace(earlier, f"trials/{folder.name}").result for folder in folders]
    results = [stage.result() for stage in stages if stage.finished]
    return [
        each for each in results if space.holds(each.settings) and not each.stopped_after and not math.isnan(each.mean)
    ]


def _about(out: Path) -> str:
    """Return a sweep's description without the name of its space."""
    first, _, rest = (out / DESCRIPTION).read_text(encoding="utf8").partition("\n")
    return f"{first.partition(' on ')[2]}\n{rest}"
