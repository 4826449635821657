"""Sweep: try settings on validation, confirm the best with fresh seeds, and look at test once.

The study and the trials' folders are the memory: a sweep that was killed is started again with the same words, and
several drivers may work on one.
"""

import logging
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import optuna
import ray

from pipelines.sweep.confirm import confirm, places_again
from pipelines.sweep.final import final, final_stage
from pipelines.sweep.inputs import SweepInputs
from pipelines.sweep.places import TrialPlace
from pipelines.sweep.progress import Told
from pipelines.sweep.results import PAGE, gather, write_page, write_results
from pipelines.sweep.search import StudySearch
from pipelines.sweep.study import (
    FILE,
    SENSITIVITY,
    begun,
    claiming,
    driver_of,
    enqueue,
    in_words,
    left_behind,
    open_study,
    pruner,
)
from pipelines.sweep.tracking import ForTensorBoard, for_mlflow
from pipelines.sweep.tuning import run_trials, shared_out
from pipelines.sweep.warm import warm_start
from pipelines.sweep.watching import Given, Watching
from system.errors import UserError
from system.figures.compared import on_terminal
from system.figures.console import console
from system.figures.sweep_rows import FinalResult, SweepResults
from system.figures.sweep_words import confirmation, ranking, sentences
from system.files.json_out import write_json
from system.place import PLACE
from tune_spaces import KINDS, Setting, Space, applied, own_setting

log = logging.getLogger(__name__)
_PAGE_EVERY_S = 30.0  # while trials run


class TrialsFailed(UserError):
    """No trial of a sweep could be finished."""


@dataclass(frozen=True)
class SweepPlan:
    """How much is tried, and how."""

    wanted: int  # trials in all
    hours: float = 0.0  # after which no trial is begun any more; 0 = no limit
    concurrent: int = 0  # trials side by side; 0 = as many as fit
    objectives: tuple[str, ...] = (SENSITIVITY,)
    stop_early: bool = False
    grace: int = 1  # epochs, or steps of a loop, that every trial gets
    storage: str = ""  # URL of a database; "" = a file in the sweep's folder
    study_name: str = ""  # "" = the folder's
    warm_start: Path | None = None  # folder of an earlier sweep
    seeds: int = 0  # fresh ones for each of the best; 0 = the best are not trained anew
    best: int = 3  # settings that are trained anew, beside the start
    final: bool = False  # the winner's numbers on test are taken


def check_plan(plan: SweepPlan, *, kind: str) -> None:
    """Raise UserError for what does not go together. Needs no Ray."""
    if plan.stop_early and not KINDS[kind].trains:
        raise UserError("--stop-early ends trainings, and a trial of kind refine trains nothing: leave it out")
    if plan.stop_early and len(plan.objectives) > 1:
        raise UserError(
            "--stop-early with two objectives: a trial that was stopped is faster than one that was not, and says "
            "nothing of its setting's cost; give one of the two"
        )
    if plan.seeds and not KINDS[kind].trains:
        raise UserError(
            "--confirm trains anew with fresh seeds, and a trial of kind refine trains nothing: leave it out"
        )


def run(inputs: SweepInputs, space: Space, plan: SweepPlan, *, json_file: Path | None = None) -> SweepResults:
    """Try the settings, print the ranking, write results, best.yaml and the page. Needs a running Ray.

    space: fitted to the configuration
    json_file: all that was found is also written here

    Raises UserError for a plan or a study that does not fit, TrialsFailed, and the fault of the machine that ended it.
    """
    check_plan(plan, kind=inputs.kind)
    config, at_once = shared_out(
        inputs.config,
        trains=KINDS[inputs.kind].trains,
        concurrent=plan.concurrent,
        resources=ray.cluster_resources(),
    )
    inputs = replace(inputs, config=config)
    with PLACE.at("in the sweep"), in_words(of_url=bool(plan.storage)):
        study = open_study(inputs.out, url=plan.storage, name=plan.study_name, objectives=plan.objectives)
        with claiming(inputs.out):
            _begin(study, inputs, space, plan)
        with driver_of(inputs.out) as driver:
            _search(study, inputs, space, plan, driver=driver, at_once=at_once)
        found = _judged(gather(study, inputs, space, wanted=plan.wanted), inputs, plan, at_once=at_once)
        write_results(found, inputs)
        write_page(found, study, inputs, space)
    _show(found, inputs, json_file=json_file)
    return found


def _judged(found: SweepResults, inputs: SweepInputs, plan: SweepPlan, *, at_once: int) -> SweepResults:
    """Return the results with fresh seeds and the look at test, where the plan asks for them."""
    if found.start is None:
        raise TrialsFailed(_why_none(found))
    if plan.seeds:
        start = found.trial(found.start)
        rows = confirm(inputs, found.ranked[: plan.best], start=start, seeds=plan.seeds, at_once=at_once)
        found = replace(found, confirmed=rows)
    if plan.final:
        return replace(found, final=_final(inputs, found, seeds=plan.seeds))
    looked = final_stage(inputs)
    return replace(found, final=looked.result()) if looked.finished else found


def _begin(study: optuna.Study, inputs: SweepInputs, space: Space, plan: SweepPlan) -> None:
    """Have a new study try what is known first: a grid's points; or known starts, and the configuration's own setting.

    What an earlier sweep knows comes after these. A study that has trials stays as it is.
    """
    if study.get_trials(deepcopy=False):
        return
    if space.grid:
        enqueue(study, list(space.points()))
        return
    own = own_setting(space, inputs.config)
    enqueue(study, [*space.first, *([own] if space.holds(own) else [])])
    if plan.warm_start:
        warm_start(study, plan.warm_start, inputs, space)


def _search(
    study: optuna.Study, inputs: SweepInputs, space: Space, plan: SweepPlan, *, driver: str, at_once: int
) -> None:
    """Run what is left to do of the trials; what is known is written as trials end, and when the sweep is stopped."""
    left = plan.wanted - len(begun(study)) + len(left_behind(study, inputs.out))
    if left <= 0:
        return
    num_ended = sum(trial.state.is_finished() for trial in begun(study))
    log.info("%d trials done, %d to go, %d at once; a trial %s", num_ended, left, at_once, KINDS[inputs.kind].does)
    PLACE.how_far = f"{num_ended} of {plan.wanted} trials done"
    search = StudySearch(
        study,
        space,
        inputs.out,
        driver=driver,
        wanted=plan.wanted,
        seed=inputs.config.seed,
        pruner=pruner(stops_early=plan.stop_early, grace=plan.grace),
        hours=plan.hours,
        never_stopped=own_setting(space, inputs.config),
        of_url=bool(plan.storage),
    )
    writer = _Writer(lambda: _write(study, inputs, space, plan))
    told = Told(study, plan.wanted, at_once, lambda setting: num_steps(inputs, setting))
    callbacks: list[Watching] = [told, writer, *for_mlflow(study.study_name)]
    if KINDS[inputs.kind].trains:
        callbacks.append(ForTensorBoard(inputs.out))
    try:
        run_trials(inputs, search, at_once=at_once, callbacks=callbacks)
    except BaseException:
        writer.write()  # what is known
        raise


def num_steps(inputs: SweepInputs, setting: Setting) -> int:
    """Return how many values a trial of a setting gives at most: epochs, or Stage 1 and the rounds; 0 = none."""
    try:
        config = applied(inputs.config, setting)
    except UserError:  # it fails for that
        return 0
    rounds = config.rounds
    return {"stage1": config.stage1.num_epochs, "retrain": rounds.train.num_epochs, "loop": 1 + rounds.num_rounds}.get(
        inputs.kind, 0
    )


@dataclass
class _Writer(Watching):
    """Writes what is known now and then, so that a killed sweep leaves it too."""

    write: Callable[[], None]
    _written_s: float = field(default_factory=time.monotonic)

    def ended(self, trial: Given, result: dict[str, Any] | None) -> None:  # noqa: ARG002 - it is read from the study
        """Write it, unless that was done just now."""
        if time.monotonic() - self._written_s > _PAGE_EVERY_S:
            self.write()
            self._written_s = time.monotonic()


def _write(study: optuna.Study, inputs: SweepInputs, space: Space, plan: SweepPlan) -> None:
    found = gather(study, inputs, space, wanted=plan.wanted)
    write_results(found, inputs)
    write_page(found, study, inputs, space)


def _why_none(found: SweepResults) -> str:
    reasons = list(dict.fromkeys(trial.reason for trial in found.trials if trial.reason))[:3]
    if num_stopped := sum(trial.state == "stopped" for trial in found.trials):
        reasons.append(f"{num_stopped} were stopped early, --no-stop-early lets them end")
    return f"none of the {len(found.trials)} trials was finished: {'; '.join(reasons) or 'no time was left for one'}"


def _final(inputs: SweepInputs, found: SweepResults, *, seeds: int) -> FinalResult:
    assert found.start is not None
    winner, start = found.winner, found.trial(found.start)
    places = {
        trial.number: places_again(inputs, trial, seeds=seeds) if seeds else [TrialPlace(inputs.out, trial.folder)]
        for trial in (winner, start)
    }
    return final(inputs, winner, start, places=places)


def _show(found: SweepResults, inputs: SweepInputs, *, json_file: Path | None) -> None:
    screen = console(json_file=json_file)
    screen.print(on_terminal(ranking(found)))
    if found.confirmed:
        screen.print(on_terminal(confirmation(found)))
    for sentence in sentences(found):
        screen.print(sentence)
    places = (("page", PAGE), ("study", FILE), ("winner", "best.yaml"))
    screen.print("; ".join(f"{what}: {inputs.out / name}" for what, name in places if (inputs.out / name).exists()))
    if json_file:
        write_json(json_file, found)
