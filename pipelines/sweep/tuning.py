"""Ray Tune around the trials of a sweep: how many run side by side, what each reports, how it ends."""

import logging
import math
import os
import shutil
from collections.abc import Mapping, Sequence
from typing import Any

import ray
from ray import tune

from pipelines.cluster import side_by_side
from pipelines.ray_errors import plain_cause
from pipelines.sweep.inputs import SweepInputs
from pipelines.sweep.perform import Task, perform
from pipelines.sweep.places import place_of
from pipelines.sweep.search import FAULT, SETTING, STEP, STOPPED, StudySearch
from pipelines.sweep.study import REASON, SECONDS, SENSITIVITY
from pipelines.sweep.watching import Watching
from system.config import RunConfig
from system.errors import MachineFault, UserError, WorkerLost
from system.faults import MEMORY
from system.run.results import TrialResult

_TUNES_OWN_SIGINT = "TUNE_DISABLE_SIGINT_HANDLER"  # Tune's would end a stopped sweep as if it had been finished
_TUNES_OWN_FILES = "TUNE_DISABLE_AUTO_CALLBACK_LOGGERS"  # of what each trial reports: the study has it
_TRIAL_MEMORY_BYTES = 1024**2
_LOOK_S = 0.3  # between two looks at what a trial has come to
_PROCESSES_LOST = 3  # before a trial has failed
_GPU_SHARES = (1.0, 0.5, 0.25)  # of one that trials can share


def run_trials(inputs: SweepInputs, search: StudySearch, *, at_once: int, callbacks: Sequence[Watching]) -> None:
    """Run what the search has left to try. Raises the fault of a trial, the search or a callback that ended it."""
    for each in callbacks:
        each.guard = search.fault_ends_it
    scratch = inputs.out / "tune" / search.driver
    os.environ[_TUNES_OWN_SIGINT] = os.environ[_TUNES_OWN_FILES] = "1"
    os.environ.setdefault("RAY_AIR_NEW_OUTPUT", "0")  # the new output names folders that are removed at the end
    tuner = tune.Tuner(
        trainable(inputs),
        tune_config=tune.TuneConfig(
            search_alg=search,
            num_samples=-1,  # the search says when it is enough
            max_concurrent_trials=at_once,
            reuse_actors=True,  # the next trial need not import everything again
        ),
        run_config=tune.RunConfig(
            name="trials",
            storage_path=str(scratch),
            verbose=0,
            callbacks=list(callbacks),
            failure_config=tune.FailureConfig(max_failures=_PROCESSES_LOST),
        ),
    )
    # It warns of the files that are not written, once for each trial.
    logging.getLogger("ray.tune.analysis.experiment_analysis").setLevel(logging.ERROR)
    try:
        tuner.fit()
    finally:
        shutil.rmtree(scratch, ignore_errors=True)  # the study and the trials' stages are the sweep's memory
    if search.fault:
        raise search.fault


def trainable(inputs: SweepInputs) -> Any:
    """Return the function that Tune calls per trial.

    The work is a task outside Tune's placement group, where trainer and predictors find the CPUs and GPUs they ask
    for; the trial itself only waits and reports. It must ask for something, and takes a little memory: a CPU's smallest
    part would make a full machine too small.
    """
    outside = performing(inputs)

    def trial(given: dict[str, Any]) -> None:
        place = place_of(inputs.out, given[SETTING])
        under_way = outside.remote(inputs, Task(given[SETTING], place, seed=0))
        num_told, ended = 0, False
        while not ended:
            ended = bool(ray.wait([under_way], timeout=_LOOK_S)[0])
            values = place.values() if inputs.kind != "refine" else []
            for step, value in enumerate(values[num_told:], start=num_told + 1):
                tune.report({SENSITIVITY: value, STEP: step})
            num_told = len(values)
        tune.report(_outcome(under_way))

    return tune.with_resources(trial, {"CPU": 0, "memory": _TRIAL_MEMORY_BYTES})


def performing(inputs: SweepInputs) -> Any:
    """Return the Ray task that performs a trial, outside any placement group."""
    threads = inputs.config.resources.infer.predictor_cpus if inputs.kind == "refine" else 0
    return ray.remote(perform).options(num_cpus=threads, scheduling_strategy="SPREAD")


def _outcome(under_way: Any) -> dict[str, Any]:
    """Return what a trial reports at its end: its measures, why it failed, or what the machine did to it."""
    try:
        result: TrialResult = ray.get(under_way)
    except Exception as error:  # of any kind: the sweep goes on
        cause = plain_cause(error)
        why = {FAULT: str(cause)} if ends_the_sweep(cause) else {REASON: reason_of(cause)}
        return {SENSITIVITY: math.nan, **why}
    return {SENSITIVITY: result.mean, SECONDS: result.seconds, STOPPED: result.stopped_after}


def ends_the_sweep(error: BaseException) -> bool:
    """Return whether every other trial would meet an error too: a full disk, for one.

    A lack of memory and a lost worker may come of the setting; a training has been tried again before it gives up.
    """
    return isinstance(error, MachineFault) and not isinstance(error, WorkerLost) and MEMORY.what not in str(error)


def reason_of(error: BaseException) -> str:
    """Return why a trial failed, in one line; of an error of ours its kind and its last line."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    if isinstance(error, UserError | MachineFault):
        return "; ".join(lines)[:500]
    return f"{type(error).__name__}: {lines[-1] if lines else ''}"[:500]


def shared_out(
    config: RunConfig, *, trains: bool, concurrent: int, resources: Mapping[str, float]
) -> tuple[RunConfig, int]:
    """Return the configuration and how many trials run side by side.

    trains: whether trials train; others take the CPUs of a predictor
    concurrent: how many are wanted; 0 = as many as the cluster holds
    resources: what Ray has in all, e.g. {"CPU": 8.0, "GPU": 1.0}

    Where more are wanted than fit, trainings share CPUs and, by halves or quarters, GPUs. Raises UserError where that
    is not enough.
    """
    if not trains:
        return config, concurrent or max(1, int(resources.get("CPU", 1.0) / config.resources.infer.predictor_cpus))
    fit = side_by_side(config, resources=resources)
    if not concurrent or concurrent <= fit:
        return config, concurrent or fit
    for share in _GPU_SHARES:
        shared = _with_share(config, share, cpus=resources.get("CPU", 1.0) / concurrent)
        if side_by_side(shared, resources=resources) >= concurrent:
            return shared, concurrent
    raise UserError(
        f"--concurrent {concurrent}: {fit} trials fit on the cluster's {resources.get('CPU', 0):g} CPUs and "
        f"{resources.get('GPU', 0):g} GPUs side by side, and sharing them does not make it {concurrent}; ask for fewer"
    )


def _with_share(config: RunConfig, share: float, *, cpus: float) -> RunConfig:
    """Return the configuration with at most so many CPUs a worker, and at most that share of a GPU."""
    train, infer = config.resources.train, config.resources.infer
    train = train.changed(cpus=max(0.5, min(train.cpus, cpus / train.num_workers)), gpus=min(train.gpus, share))
    half = cpus / 2 / infer.num_predictors
    infer = infer.changed(
        predictor_cpus=max(0.25, min(infer.predictor_cpus, half)),
        predictor_gpus=min(infer.predictor_gpus, share),
        decode_cpus=max(0.25, min(infer.decode_cpus, cpus / 2)),
    )
    return config.changed(resources=config.resources.changed(train=train, infer=infer))
