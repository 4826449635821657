"""Sweep: retrain on the frozen pools of one finished round, once per setting of a tune space, and rank the settings on validation.

Ray Tune decides what is tried next and how many trials run at once; what a trial did lies in its own stages under `trials/`, named by
its settings. So a sweep that was killed is started again with the same words: finished trials are read, half-done ones go on.
"""

import json
import logging
import math
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import optuna
import ray
from ray import tune
from ray.tune.search.optuna import OptunaSearch
from rich.console import Console

from pipelines import evaluate, infer, retrain
from pipelines.cluster import side_by_side
from pipelines.selftrain import model_folder
from pipelines.thresholds import choose
from pipelines.train import TrainJob
from pipelines.trials import (
    RESULT,
    SETTINGS,
    Trial,
    ranked,
    read_trials,
    read_unfinished,
    results_table,
    trial_folder,
    trial_name,
    write_results,
)
from system.archive import Archive, pair_table
from system.config import RunConfig, as_yaml, resolve
from system.mining import p0_text, pool_name
from system.nets import read_card
from system.records import Split
from system.runs import Stage, write_atomically
from tune_spaces import Grid, Range, Search, Setting, Space, find

log = logging.getLogger(__name__)
_TRIAL_MEMORY_BYTES = 1024**2
METRIC = "mean_sensitivity"  # on validation, over the operating points of froc.fppi


@dataclass(frozen=True)
class Frozen:
    """What all trials of a sweep share; travels to the workers."""

    out: Path  # the sweep's folder, absolute
    archive: Archive  # pinned to the run's versions
    config: RunConfig  # before a trial's settings
    pools: Stage  # of the round
    start: Path  # folder of the model that the round went on from
    round_number: int


def run(  # noqa: PLR0913 - what is swept, over what, with what, how long
    source: Path, archive_uri: str, out: Path, *, space: str, config: RunConfig, num_trials: int = 0, round_number: int = 1
) -> list[Trial]:
    """Try the settings, print the ranking, write results.csv, results.json and best.yaml; returns the trials, best first.

    source: folder of a finished run;  num_trials: of a search; 0 = the space's own number;  round_number: whose pools are taken, from 1
    Needs a running Ray. Raises ValueError for an unknown space or a config that does not fit the run.
    """
    chosen = find(config.method, space)
    frozen = _freeze(source, archive_uri, out, config=config, round_number=round_number)
    _claim(frozen, source=source, space=space)
    wanted = len(chosen.points) if isinstance(chosen, Grid) else num_trials or chosen.num_trials
    failed = _tune(frozen, chosen, wanted=wanted)
    trials = ranked(read_trials(frozen.out))
    if not trials:
        raise RuntimeError(f"all {failed} trials failed: see the folders under {out.name}/trials and the workers' logs")
    write_results(frozen.out, trials, best=_with(frozen.config, trials[0].settings))
    Console().print(results_table(trials, failed=failed))
    return trials


def perform(frozen: Frozen, settings: Setting) -> float:
    """Retrain with one setting and measure it on validation; returns the mean sensitivity. Runs in a Ray task of its own."""
    folder = trial_folder(frozen.out, settings)
    config = _with(frozen.config, settings)

    def stage(name: str) -> Stage:
        return Stage(folder, name)

    retrain.run(_job(frozen, config), pools=frozen.pools, schedule=config.rounds.p0, cluster=config.cluster, stage=stage("checkpoint"))
    images = frozen.archive.table("images")
    infer.run(
        pair_table(images.filter([split == Split.VALIDATION for split in images["split"].to_pylist()])),
        archive_uri=frozen.archive.uri,
        checkpoint=model_folder(stage("checkpoint")),
        config=config.infer,
        stage=stage("held_out"),
        mask_threshold=0.5,  # masks of held-out images are not used
        keep_maps="all",
    )
    thresholds = choose(stage("held_out"), archive=frozen.archive, config=config, stage=stage("thresholds"))
    froc = config.froc.model_copy(update={"candidate_floor": thresholds.candidate_floor})
    held_out, mask = stage("held_out"), thresholds.mask_threshold
    found = evaluate.run(held_out, archive=frozen.archive, config=froc, stage=stage("froc"), split=Split.VALIDATION, mask_threshold=mask)
    facts = {name: found.metrics[name] for name in ("mean", "interval", "sensitivity")}
    stage(RESULT).once(lambda _: ([], {"config": dict(settings), "metrics": facts}))
    return found.metrics["mean"]


def _freeze(source: Path, archive_uri: str, out: Path, *, config: RunConfig, round_number: int) -> Frozen:
    """Look up what the trials start from. Raises ValueError where the run or the config does not fit."""
    source, out = source.resolve(), out.resolve()
    pools, pinned = Stage(source, f"round_{round_number:02d}/pools"), Stage(source, "archive").manifest()
    if pinned is None or pools.manifest() is None:
        raise ValueError(f"run {source.name} has no finished pools of round {round_number}: finish it with `mammoloop selftrain` first")
    rounds, kept = config.rounds, {path.name for path in pools.paths()}
    if missing := [p0_text(p0) for p0 in rounds.p0.values(rounds.train.num_epochs) if pool_name(p0) not in kept]:
        raise ValueError(
            f"run {source.name} froze no pool at p0 {', '.join(missing)} in round {round_number}: take the run's preset and settings"
        )
    before = "stage1" if round_number == 1 else f"round_{round_number - 1:02d}"
    start = model_folder(Stage(source, f"{before}/checkpoint"))
    card = read_card(start)
    if (card.method, card.net["backbone"]) != (config.method, config.net.backbone):
        raise ValueError(
            f"run {source.name} trained {card.method} on {card.net['backbone']}, the config says {config.method} on {config.net.backbone}: "
            "take the preset and the settings of the run"
        )
    archive = Archive.open(archive_uri if "://" in archive_uri else Path(archive_uri).resolve()).pinned(pinned.archive_versions)
    return Frozen(out, archive, config, pools, start, round_number)


def _claim(frozen: Frozen, *, source: Path, space: str) -> None:
    """Say in the sweep's folder what it sweeps. Raises ValueError when it swept something else before."""
    asked = f"# sweep of {space} on round {frozen.round_number} of {source.resolve()}\n{as_yaml(frozen.config)}"
    kept = frozen.out / "sweep.yaml"
    if kept.exists() and kept.read_text(encoding="utf8") != asked:
        raise ValueError(
            f"{frozen.out.name} holds a sweep of something else (see its sweep.yaml): repeat its words, or choose another --out"
        )
    frozen.out.mkdir(parents=True, exist_ok=True)
    write_atomically(kept, asked)


def _with(config: RunConfig, settings: Setting) -> RunConfig:
    return resolve(config, settings=[f"{key}={value}" for key, value in settings.items()])


def _job(frozen: Frozen, config: RunConfig) -> TrainJob:
    return TrainJob(
        name=f"sweep of round {frozen.round_number}",
        archive_uri=frozen.archive.uri,
        archive_versions=frozen.archive.versions(),
        method=config.method,
        net=config.net,
        train=config.rounds.train,
        loss=config.loss,
        strong_share=config.strong_share,
        seed=config.seed + frozen.round_number,  # as in the run; the same in every trial, so that only the settings differ
        start=str(frozen.start),
    )


def _tune(frozen: Frozen, space: Space, *, wanted: int) -> int:
    """Run what is left to do of the trials; returns how many failed."""
    done = read_trials(frozen.out)
    at_once = side_by_side(frozen.config, resources=ray.cluster_resources())
    if isinstance(space, Grid):
        finished = {trial_name(trial.settings) for trial in done}
        points = [dict(point) for point in space.points if trial_name(point) not in finished]
        left, searcher, param_space = len(points), None, {"settings": tune.grid_search(points)}
    else:
        left, param_space = max(0, wanted - len(done)), {}
        searcher = _searcher(space, done=done, unfinished=read_unfinished(frozen.out), seed=frozen.config.seed)
    if not left:
        return 0
    log.info("%d trials done, %d to go, %d at once", len(done), left, at_once)
    scratch = frozen.out / "tune"
    shutil.rmtree(scratch, ignore_errors=True)  # our own stages are the sweep's memory
    tuner = tune.Tuner(
        _trainable(frozen),
        param_space=param_space,
        tune_config=tune.TuneConfig(
            metric=METRIC,
            mode="max",
            search_alg=searcher,
            num_samples=1 if searcher is None else left,
            max_concurrent_trials=at_once,
            reuse_actors=True,  # the next trial need not import everything again
        ),
        run_config=tune.RunConfig(name="trials", storage_path=str(scratch), verbose=0, callbacks=[_Progress(left)]),
    )
    results = tuner.fit()
    shutil.rmtree(scratch, ignore_errors=True)
    for error in results.errors:
        log.warning("a trial failed: %s", error)
    return results.num_errors


def _trainable(frozen: Frozen) -> Any:
    """Return the function that Tune calls per trial.

    The work is a task outside Tune's placement group, where trainer and predictors find the CPUs and GPUs they ask for; the trial
    itself only waits. It must ask for something, and takes a little memory: a CPU's smallest part would make a full machine too small.
    """
    outside = ray.remote(perform).options(num_cpus=0, scheduling_strategy="SPREAD")

    def trial(params: dict[str, Any]) -> None:
        settings = params.get("settings", params)
        folder = trial_folder(frozen.out, settings)
        folder.mkdir(parents=True, exist_ok=True)
        write_atomically(folder / SETTINGS, json.dumps(settings, sort_keys=True))
        tune.report({METRIC: ray.get(outside.remote(frozen, settings))})

    return tune.with_resources(trial, {"CPU": 0, "memory": _TRIAL_MEMORY_BYTES})


class _Progress(tune.Callback):
    """Logs each finished trial."""

    def __init__(self, num_trials: int) -> None:
        self.num_trials, self.num_done = num_trials, 0

    def on_trial_complete(self, iteration: int, trials: list[Any], trial: Any, **info: Any) -> None:  # noqa: ARG002 - Tune's words
        self.num_done += 1
        settings = trial.config.get("settings", trial.config)
        log.info("trial %d/%d  %s %.3f  %s", self.num_done, self.num_trials, METRIC, trial.last_result[METRIC], settings)


def _searcher(space: Search, *, done: list[Trial], unfinished: list[dict[str, float]], seed: int) -> OptunaSearch:
    """Return a search that knows the finished trials, goes on with the unfinished, then tries the known starts, then draws."""
    finished = {trial_name(trial.settings) for trial in done}
    waiting = {trial_name(point): dict(point) for point in [*unfinished, *space.first] if trial_name(point) not in finished}
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
