"""Start or join Ray, and refuse a cluster whose nodes run other code than the driver."""

import logging
import os
import signal
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import ray
from ray._private import ray_constants
from ray._private import worker as ray_worker
from ray._private.authentication import authentication_token_setup
from ray.util.debug import log_once

from pipelines import ray_temporary
from pipelines.own_process import OWN
from system.config import RunConfig
from system.errors import UserError
from system.resources import ClusterResources
from system.run.code import code_digest

log = logging.getLogger(__name__)


class MixedClusterError(UserError):
    """The driver and the workers run different sources."""


@contextmanager
def session(config: ClusterResources) -> Iterator[None]:
    """Join the cluster of `config.address`, or start one on this machine; it is left again at the end.

    After an error, threads of Ray Data may still be at work; one that finds Ray shut down ends the process with exit
    code 1. So a process that ends anyway stays connected to its end (`end_workers`).

    Raises UserError where no cluster answers or none can be started, MixedClusterError when a worker's sources differ
    from the driver's.
    """
    if ray.is_initialized():
        yield
        return
    os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")
    logging.getLogger(authentication_token_setup.__name__).addFilter(_is_no_good_news)
    handler = signal.getsignal(signal.SIGTERM)
    if config.address == "local":
        if wrong := ray_temporary.mistake():
            raise UserError(wrong)
        with _on_loopback():
            ray.init(
                address="local",
                num_cpus=config.logical_cpus or None,
                include_dashboard=config.dashboard,
                object_store_memory=config.object_store_bytes or None,
                log_to_driver=config.worker_logs,
                logging_level=logging.WARNING,
            )
    else:
        _join(config)
    try:
        _listen_again(handler)
        keep_token_private(Path.home() / ".ray" / "auth_token")
        _check_same_code()
        _tune_data()
        yield
    except BaseException:
        if not OWN.ends_with_command:
            ray.shutdown()
        raise
    ray.shutdown()


def _is_no_good_news(record: logging.LogRecord) -> bool:
    """Return whether a line of Ray's authentication is for the user; it warns of being switched on, too."""
    return "authentication is enabled" not in record.getMessage()


@contextmanager
def _on_loopback() -> Iterator[None]:
    """Let what is started in the block listen on 127.0.0.1 alone: nobody else on the network has to reach it.

    Ray does so by itself on macOS and Windows, where it starts no clusters, and on Linux only by this switch of its
    own: it takes an address of loopback that ray.init is given for the machine's.
    """
    before = ray_constants.ENABLE_RAY_CLUSTER
    kept = os.environ.get(ray_constants.ENABLE_RAY_CLUSTERS_ENV_VAR)
    ray_constants.ENABLE_RAY_CLUSTER = False
    os.environ[ray_constants.ENABLE_RAY_CLUSTERS_ENV_VAR] = "0"  # for the processes that are started
    try:
        yield
    finally:
        ray_constants.ENABLE_RAY_CLUSTER = before
        if kept is None:
            del os.environ[ray_constants.ENABLE_RAY_CLUSTERS_ENV_VAR]
        else:
            os.environ[ray_constants.ENABLE_RAY_CLUSTERS_ENV_VAR] = kept


def end_workers() -> None:
    """End what the raylet that ray.init started here has started: workers, agents, and what they have started.

    For a process that ends without ray.shutdown, just before its end. Raylet and GCS end with their driver, which
    would end with exit code 1 if they ended before it; the raylet's agents would stay.
    """
    import psutil  # Ray brings it along

    node = ray_worker._global_node
    raylets = node.all_processes.get(ray_constants.PROCESS_TYPE_RAYLET, []) if node else []
    for raylet in raylets:
        with suppress(psutil.NoSuchProcess):
            for child in psutil.Process(raylet.process.pid).children(recursive=True):
                with suppress(psutil.NoSuchProcess):
                    child.kill()


def keep_token_private(token: Path) -> None:
    """Let nobody but its owner read the token that Ray writes with the permissions of the umask.

    token: the path; nothing is done where there is no file
    """
    with suppress(OSError):
        found = token.stat()
        if found.st_uid == os.getuid() and found.st_mode & 0o077:
            token.chmod(0o600)


def _listen_again(handler: Any) -> None:
    """Handle SIGTERM as before ray.init, which takes it over: its own handler ends in SIGABRT."""
    if handler and threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGTERM, handler)


def _join(config: ClusterResources) -> None:
    try:
        ray.init(address=config.address, log_to_driver=config.worker_logs, logging_level=logging.WARNING)
    except ConnectionError as error:
        raise UserError(
            f"resources.cluster.address is {config.address}, but no Ray cluster answers there "
            f"({str(error).splitlines()[0]}): start one with `ray start --head`, "
            "or set the address to local to start Ray on this machine alone"
        ) from error


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


def _check_same_code() -> None:
    ours = code_digest()
    theirs = ray.get(ray.remote(num_cpus=0)(code_digest).remote())
    if ours != theirs:
        raise MixedClusterError(
            f"the driver runs sources {ours}, a worker runs {theirs}: install the same mammoloop on every node "
            "(with `ray job submit --working-dir`, an uploaded folder hides an installed wheel)"
        )
    log.info("driver and workers run the same sources, %s", ours)


def _tune_data() -> None:
    """Keep Ray Data's own lines and bars, in its words and cut at the terminal's edge, from the user."""
    context = ray.data.DataContext.get_current()
    context.enable_progress_bars = False
    context.print_on_execution_start = False
    log_once("ray_data_progress_manager_disabled")  # or Ray Data would warn of it, once
    logging.getLogger("ray.data").setLevel(logging.WARNING)
