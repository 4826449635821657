"""Sweep: retrain on the frozen pools of one finished round, once per setting of a tune space.

The settings are ranked on validation.

Ray Tune decides what is tried next and how many trials run at once; what a trial did lies in its own stages under
`trials/`, named by its settings. So a sweep that was killed is started again with the same arguments: finished trials
are read, half-done ones go on.
"""

import json
import logging
import math
import os
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import optuna
import pyarrow.compute as pc
import ray
from ray import tune
from ray.tune.search.optuna import OptunaSearch

from pipelines import retrain, selftrain
from pipelines.cluster import side_by_side
from pipelines.experiments.claim import claim
from pipelines.experiments.trials import (
    SETTINGS,
    Trial,
    ranked,
    read_trials,
    read_unfinished,
    results_table,
    trial_folder,
    trial_name,
    trial_result,
    trial_system,
    write_results,
)
from system.archive import Archive, pair_table
from system.config import RunConfig, as_yaml, resolve
from system.errors import UserError
from system.figures.console import console
from system.files.atomic import write_text
from system.files.json_out import write_json
from system.nets import read_card
from system.place import PLACE
from system.records import Split
from system.run.folder import RunFolder
from system.run.results import PoolsResult, TrainResult, TrialResult
from system.run.stage import Stage, Written
from system.training.job import TrainJob
from tune_spaces import Grid, Range, Search, Setting, Space, find, trials_of

log = logging.getLogger(__name__)
_TRIAL_MEMORY_BYTES = 1024**2
_TUNES_OWN_SIGINT = "TUNE_DISABLE_SIGINT_HANDLER"  # Tune's would end a stopped sweep as if it had been finished
METRIC = "mean_sensitivity"  # on validation, over the operating points of froc.fppi


@dataclass(frozen=True)
class SweepInputs:
    """What all trials of a sweep share; travels to the workers."""

    out: Path  # the sweep's folder, absolute
    archive: Archive  # pinned to the run's versions
    config: RunConfig  # before a trial's settings
    pools: Stage[PoolsResult]  # of the round
    start: Path  # folder of the model that the round went on from
    stage1: TrainResult  # of the run
    round_number: int


class TrialsFailed(UserError):
    """No trial of a sweep could be finished."""


def run(  # noqa: PLR0913 - what is swept, over what, with what, how long
    source: Path,
    archive_uri: str,
    out: Path,
    *,
    space: str,
    config: RunConfig,
    num_trials: int = 0,
    round_number: int = 1,
    json_file: Path | None = None,
) -> list[Trial]:
    """Try the settings, print the ranking, write results and best.yaml; return the trials, best first.

    source: folder of a finished run
    num_trials: of a search; 0 = the space's own number
    round_number: whose pools are taken, from 1
    json_file: also written here, in this order
    Needs a running Ray. Raises UserError for an unknown space or a config that does not fit the run, TrialsFailed.
    """
    chosen, inputs = prepare(source, archive_uri, out, space=space, config=config, round_number=round_number)
    wanted = trials_of(chosen, asked=num_trials)
    with PLACE.at("in the sweep"):
        failed = run_trials(inputs, chosen, wanted=wanted)
    trials = ranked(read_trials(inputs.out))
    if not trials:
        raise TrialsFailed(f"all {failed} trials failed: see the folders under {out.name}/trials and the workers' logs")
    write_results(inputs.out, trials, best=_with(inputs.config, trials[0].settings))
    console(json_file=json_file).print(results_table(trials, failed=failed))
    if json_file:
        write_json(json_file, trials)
    return trials


def prepare(
    source: Path, archive_uri: str, out: Path, *, space: str, config: RunConfig, round_number: int = 1
) -> tuple[Space, SweepInputs]:
    """Claim the sweep's folder, and look up what its trials start from. Needs no Ray; else as `run`."""
    chosen = find(config.method, space)
    inputs = _inputs(RunFolder(source.resolve()), archive_uri, out, config=config, round_number=round_number)
    description = f"# sweep of {space} on round {round_number} of {source.resolve()}\n{as_yaml(config.of_run())}"
    claim(inputs.out / "sweep.yaml", description, what="sweep")
    return chosen, inputs


def perform(inputs: SweepInputs, settings: Setting) -> float:
    """Retrain with one setting and measure it on validation; return the mean sensitivity. Runs in a Ray task."""
    config, system = _with(inputs.config, settings), trial_system(inputs.out, settings)
    retrain.run(
        _job(inputs, config),
        pools=inputs.pools,
        schedule=config.rounds.p0,
        resources=config.resources.train,
        stage=system.checkpoint,
    )
    images = inputs.archive.table("images")
    validation = pair_table(images.filter(pc.field("split") == str(Split.VALIDATION)))
    selftrain.infer_and_choose_thresholds(system, validation, archive=inputs.archive, config=config)
    found = selftrain.evaluate_on(system, Split.VALIDATION, archive=inputs.archive, config=config).sweep
    result = TrialResult(dict(settings), found.mean, found.interval, found.sensitivity)
    return trial_result(inputs.out, settings).once(lambda _: Written(result)).mean


def _inputs(source: RunFolder, archive_uri: str, out: Path, *, config: RunConfig, round_number: int) -> SweepInputs:
    """Look up what the trials start from. Raises UserError where the run or the config does not fit."""
    pools = source.round(round_number).pools
    if not source.archive_pin.finished or not pools.finished:
        raise UserError(
            f"run {source.name} has no finished pools of round {round_number}: "
            "finish it with `mammoloop selftrain` first"
        )
    for p0 in config.rounds.p0.values(config.rounds.train.num_epochs):
        pools.result().pool_of(p0)
    start = source.before(round_number).model
    card = read_card(start)
    if (card.method, card.net["backbone"]) != (config.method, config.net.backbone):
        raise UserError(
            f"run {source.name} trained {card.method} on {card.net['backbone']}, the config has {config.method} on "
            f"{config.net.backbone}: take the preset and the settings of the run"
        )
    archive = source.archive(uri=archive_uri)
    stage1 = source.stage1.checkpoint.result()
    return SweepInputs(out.resolve(), archive, config, pools, start, stage1, round_number)


def _with(config: RunConfig, settings: Setting) -> RunConfig:
    return resolve(config, settings=[f"{key}={value}" for key, value in settings.items()])


def _job(inputs: SweepInputs, config: RunConfig) -> TrainJob:
    name = f"sweep of round {inputs.round_number}"
    seed = config.seed + inputs.round_number  # the run's, in every trial, so that only the settings differ
    job = selftrain.train_job(name, archive=inputs.archive, config=config, seed=seed)
    return selftrain.with_pools(job, config=config, stage1=inputs.stage1).changed(start=str(inputs.start))


def run_trials(inputs: SweepInputs, space: Space, *, wanted: int) -> int:
    """Run what is left to do of the trials; returns how many failed."""
    done = read_trials(inputs.out)
    at_once = side_by_side(inputs.config, resources=ray.cluster_resources())
    if isinstance(space, Grid):
        finished = {trial_name(trial.settings) for trial in done}
        points = [dict(point) for point in space.points if trial_name(point) not in finished]
        left, searcher, param_space = len(points), None, {"settings": tune.grid_search(points)}
    else:
        left, param_space = max(0, wanted - len(done)), {}
        searcher = make_searcher(space, done=done, unfinished=read_unfinished(inputs.out), seed=inputs.config.seed)
    if not left:
        return 0
    log.info("%d trials done, %d to go, %d at once", len(done), left, at_once)
    PLACE.how_far = f"{len(done)} of {len(done) + left} trials done"
    os.environ[_TUNES_OWN_SIGINT] = "1"
    scratch = inputs.out / "tune"
    shutil.rmtree(scratch, ignore_errors=True)  # our own stages are the sweep's memory
    os.environ.setdefault("RAY_AIR_NEW_OUTPUT", "0")  # the new output names folders that are removed at the end
    told = _TrialLog(num_done=len(done), num_trials=len(done) + left)
    tuner = tune.Tuner(
        trainable(inputs),
        param_space=param_space,
        tune_config=tune.TuneConfig(
            metric=METRIC,
            mode="max",
            search_alg=searcher,
            num_samples=1 if searcher is None else left,
            max_concurrent_trials=at_once,
            reuse_actors=True,  # the next trial need not import everything again
        ),
        run_config=tune.RunConfig(name="trials", storage_path=str(scratch), verbose=0, callbacks=[told]),
    )
    results = tuner.fit()
    shutil.rmtree(scratch, ignore_errors=True)
    for error in results.errors:
        log.warning("a trial failed: %s", error)
    return results.num_errors


def trainable(inputs: SweepInputs) -> Any:
    """Return the function that Tune calls per trial.

    The work is a task outside Tune's placement group, where trainer and predictors find the CPUs and GPUs they ask
    for; the trial itself only waits. It must ask for something, and takes a little memory: a CPU's smallest part
    would make a full machine too small.
    """
    outside = ray.remote(perform).options(num_cpus=0, scheduling_strategy="SPREAD")

    def trial(params: dict[str, Any]) -> None:
        settings = params.get("settings", params)
        folder = trial_folder(inputs.out, settings)
        folder.mkdir(parents=True, exist_ok=True)
        write_text(folder / SETTINGS, json.dumps(settings, sort_keys=True))
        tune.report({METRIC: ray.get(outside.remote(inputs, settings))})

    return tune.with_resources(trial, {"CPU": 0, "memory": _TRIAL_MEMORY_BYTES})


class _TrialLog(tune.Callback):
    """Logs each finished trial."""

    def __init__(self, *, num_done: int, num_trials: int) -> None:
        """num_done: of earlier starts;  num_trials: those included."""
        self.num_trials, self.num_done = num_trials, num_done

    def on_trial_complete(self, iteration: int, trials: list[Any], trial: Any, **info: Any) -> None:  # noqa: ARG002
        self.num_done += 1
        PLACE.how_far = f"{self.num_done} of {self.num_trials} trials done"
        settings = trial.config.get("settings", trial.config)
        in_words = ", ".join(f"{key} {value:.4g}" for key, value in sorted(settings.items()))
        mean = trial.last_result[METRIC]
        log.info("trial %d of %d: mean sensitivity %.3f with %s", self.num_done, self.num_trials, mean, in_words)


def make_searcher(
    space: Search, *, done: Sequence[Trial], unfinished: Sequence[dict[str, float]], seed: int
) -> OptunaSearch:
    """Return a search over the ranges, which goes on where the finished trials ended.

    It tries the unfinished trials first, then the space's known starts, then draws.
    """
    finished = {trial_name(trial.settings) for trial in done}
    waiting = {
        trial_name(point): dict(point) for point in [*unfinished, *space.first] if trial_name(point) not in finished
    }
    searcher = OptunaSearch(
        {key: _distribution(found) for key, found in space.ranges.items()},
        metric=METRIC,
        mode="max",
        points_to_evaluate=list(waiting.values()),
        seed=seed + len(done),  # or a restart would draw again what it drew
    )
    for trial in done:
        searcher.add_evaluated_point(dict(trial.settings), trial.mean, error=math.isnan(trial.mean))
    return searcher


def _distribution(found: Range) -> optuna.distributions.FloatDistribution:
    return optuna.distributions.FloatDistribution(found.low, found.high, log=found.log)
