"""Start or join Ray, and refuse a cluster whose nodes run other code than the driver."""

import logging
import os
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import ray
from ray.exceptions import RayError

from system.config import RunConfig
from system.errors import UserError
from system.resources import ClusterResources
from system.run.code import code_digest

log = logging.getLogger(__name__)


class MixedClusterError(UserError):
    """The driver and the workers run different sources."""


@contextmanager
def session(config: ClusterResources, *, quiet: bool = False) -> Iterator[None]:
    """Join the cluster of `config.address`, or start one on this machine; it is left again at the end.

    Raises MixedClusterError when a worker's sources differ from the driver's.
    """
    if ray.is_initialized():
        yield
        return
    os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")
    if config.address == "local":
        ray.init(
            address="local",
            num_cpus=config.logical_cpus or None,
            include_dashboard=config.dashboard,
            object_store_memory=config.object_store_bytes or None,
            log_to_driver=config.worker_logs,
            logging_level=logging.WARNING,
        )
    else:
        ray.init(address=config.address, log_to_driver=config.worker_logs, logging_level=logging.WARNING)
    try:
        _check_same_code()
        _tune_data(quiet=quiet)
        yield
    finally:
        ray.shutdown()


def side_by_side(config: RunConfig, *, resources: Mapping[str, float]) -> int:
    """Return how many trainings, each with the inference that follows it, the cluster holds side by side; at least one.

    resources: what Ray has in all, e.g. {"CPU": 8.0, "GPU": 1.0}
    """
    train, infer = config.resources.train, config.resources.infer
    needed = {
        "CPU": max(train.num_workers * train.cpus, infer.num_predictors * infer.predictor_cpus + infer.decode_cpus),
        "GPU": max(train.num_workers * train.gpus, infer.num_predictors * infer.predictor_gpus),
    }
    return max(1, min(int(resources.get(name, 0.0) / amount) for name, amount in needed.items() if amount > 0))


def plain_cause(error: BaseException) -> BaseException:
    """Return the error that a task, an actor or a training worker raised, without what Ray wrapped around it on the way.

    An error that no user can mend is returned as it came, with Ray's text, which holds the remote traceback.
    """
    waiting, seen = [error], set[int]()
    while waiting:
        current = waiting.pop(0)
        if id(current) in seen:
            continue
        seen.add(id(current))
        if isinstance(current, UserError) and not isinstance(current, RayError):
            return current
        failures = getattr(current, "worker_failures", None)  # Ray Train: rank -> error
        nested = [getattr(current, "cause", None), current.__cause__, current.__context__]
        nested += list(failures.values()) if isinstance(failures, dict) else []
        waiting += [each for each in nested if isinstance(each, BaseException)]
    return error


def _check_same_code() -> None:
    ours = code_digest()
    theirs = ray.get(ray.remote(num_cpus=0)(code_digest).remote())
    if ours != theirs:
        raise MixedClusterError(
            f"the driver runs sources {ours}, a worker runs {theirs}: install the same mammoloop on every node "
            "(with `ray job submit --working-dir`, an uploaded folder hides an installed wheel)"
        )
    log.info("driver and workers run the same sources, %s", ours)


def _tune_data(*, quiet: bool) -> None:
    context = ray.data.DataContext.get_current()
    context.enable_progress_bars = sys.stderr.isatty() and not quiet
    context.print_on_execution_start = False
    logging.getLogger("ray.data").setLevel(logging.WARNING)
