"""Start or join Ray, keep the signals that end a command, and end what Ray has started."""

import logging
import os
import signal
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path

import ray
from ray._private import ray_constants
from ray._private import utils as ray_utils
from ray._private import worker as ray_worker
from ray._private.authentication import authentication_token_setup
from ray.util.debug import log_once

from pipelines import connecting, last_node, ray_temporary
from pipelines.own_process import OWN, kept_from_children
from system.config import RunConfig
from system.errors import UserError
from system.place import PLACE
from system.resources import ClusterResources

log = logging.getLogger(__name__)
_LEAVES_WITHIN_S = 60.0  # it takes a few seconds


@contextmanager
def session(config: ClusterResources) -> Iterator[None]:
    """Join the cluster of `config.address` or RAY_ADDRESS, or start one on this machine; it is left again at the end.

    After an error, threads of Ray Data may still be at work; one that finds Ray shut down ends the process with exit
    code 1. So a process that ends anyway stays connected to its end (`end_workers`).

    Raises UserError where no cluster can be joined or started, MachineFault where it does not answer,
    MixedClusterError when a node's sources differ from the driver's.
    """
    if ray.is_initialized():
        yield
        return
    os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")
    logging.getLogger(authentication_token_setup.__name__).addFilter(_is_no_good_news)
    address = connecting.address_of(config)
    here = address == "local"
    with PLACE.at("while Ray was starting" if here else f"while joining the Ray cluster at {address}"):
        with _own_signals(of_children=here):
            if here:
                log.info("Ray is starting on this machine")
                _start(config)
            else:
                connecting.join(address, worker_logs=config.worker_logs)
        try:
            keep_token_private(Path.home() / ".ray" / "auth_token")
            connecting.check_same_code(within_s=None if here else connecting.NODES_S)
        except BaseException:
            _leave_after_error()
            raise
    try:
        tune_data()
        with last_node.expected(_any_node_alive), last_node.raylet_expected(_sockets_of_raylet() if here else ()):
            yield
    except BaseException:
        _leave_after_error()
        raise
    with last_node.ended_within(_LEAVES_WITHIN_S):
        ray.shutdown()


def _any_node_alive() -> bool:
    return any(node["Alive"] for node in ray.nodes())


def _sockets_of_raylet() -> list[str]:
    """Return the paths of the sockets of the raylet that this process has started."""
    node = ray_worker._global_node
    return [node.raylet_socket_name, node.plasma_store_socket_name] if node else []


def _leave_after_error() -> None:
    if not OWN.ends_with_command:
        ray.shutdown()


def _start(config: ClusterResources) -> None:
    if wrong := ray_temporary.mistake():
        raise UserError(wrong)
    # A process for each training, which waits for notice that a node will be drained.
    os.environ.setdefault("RAY_TRAIN_ENABLE_PREEMPTION_WATCHER", "0")
    with _on_loopback():
        ray.init(
            address="local",
            num_cpus=config.logical_cpus or None,
            include_dashboard=config.dashboard,
            object_store_memory=config.object_store_bytes or None,
            log_to_driver=config.worker_logs,
            logging_level=logging.WARNING,
        )


@contextmanager
def _own_signals(*, of_children: bool) -> Iterator[None]:
    """Keep this process's handler of SIGTERM while the block starts Ray, whose own end in SIGABRT or with another code.

    of_children: a lost terminal is this process's to answer: a driver whose raylet ends before it ends with 1
    """
    handler, taken = signal.getsignal(signal.SIGTERM), ray_utils.set_sigterm_handler
    in_main_thread = threading.current_thread() is threading.main_thread()
    ray_utils.set_sigterm_handler = lambda _: None
    try:
        with kept_from_children(*([signal.SIGHUP] if of_children else [])):
            yield
    finally:
        ray_utils.set_sigterm_handler = taken
        if handler and in_main_thread:
            signal.signal(signal.SIGTERM, handler)  # Ray's core sets one too


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
    """End what this process and the raylet that it started have started: workers, agents, and what they have started.

    For a process that ends without ray.shutdown, just before its end. Raylet and GCS end with their driver, which
    would end with exit code 1 if they ended before it; the raylet's agents would stay.
    """
    import psutil  # Ray brings it along

    kinds = (ray_constants.PROCESS_TYPE_RAYLET, ray_constants.PROCESS_TYPE_GCS_SERVER)
    node = ray_worker._global_node
    spared = {started.process.pid for kind in kinds for started in (node.all_processes.get(kind, []) if node else [])}
    for child in psutil.Process().children(recursive=True):
        if child.pid not in spared:
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


def tune_data() -> None:
    """Keep Ray Data's own lines and bars, in its words and cut at the terminal's edge, from the user."""
    context = ray.data.DataContext.get_current()
    context.enable_progress_bars = False
    context.print_on_execution_start = False
    log_once("ray_data_progress_manager_disabled")  # or Ray Data would warn of it, once
    logging.getLogger("ray.data").setLevel(logging.WARNING)
    # It reports a lost process with a stack trace as a fault of Ray's own; the error itself comes to us.
    logging.getLogger("ray.data.exceptions").setLevel(logging.CRITICAL)
