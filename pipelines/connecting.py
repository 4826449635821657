"""Which Ray cluster a command joins, whether it answers, and whether its nodes run the driver's code."""

import logging
import os
import socket
from collections.abc import Mapping
from typing import Any

import grpc  # Ray brings it along
import ray
from ray._private import ray_constants, services
from ray._private.grpc_utils import init_grpc_channel
from ray.exceptions import RayError
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from system.errors import MachineFault, UserError
from system.resources import ClusterResources
from system.run.code import code_digest

log = logging.getLogger(__name__)
ANSWER_S = 20.0  # a cluster that does not answer for so long is not there
NODES_S = 60.0  # for all nodes together to start a worker and answer
_NAMED = 5  # nodes that a message names; those beyond are counted
_BY_RAY_ADDRESS = ("local", "auto")  # settings that name no cluster: RAY_ADDRESS does, where it is set


class MixedClusterError(UserError):
    """The driver and the workers run different sources."""


def address_of(config: ClusterResources, environment: Mapping[str, str] = os.environ) -> str:
    """Return where Ray runs: `local` (to be started here), `auto` (found by Ray on this machine), or an address.

    An address in the settings counts before RAY_ADDRESS, RAY_ADDRESS before `local` and `auto`.
    """
    if config.address not in _BY_RAY_ADDRESS:
        return config.address
    given = environment.get(ray_constants.RAY_ADDRESS_ENVIRONMENT_VARIABLE, "")
    if given and given != config.address:
        log.info("RAY_ADDRESS is %s: Ray is taken from there (resources.cluster.address is %s)", given, config.address)
    return given or config.address


def join(address: str, *, worker_logs: bool) -> None:
    """Join a cluster.

    Raises UserError where no cluster can be meant or this machine is none of its nodes, MachineFault where the cluster
    does not answer.
    """
    log.info("joining the Ray cluster at %s", address)
    wait_for_answer(_gcs_of(address), asked=address)
    try:
        ray.init(address=address, log_to_driver=worker_logs, logging_level=logging.WARNING)
    except (OSError, RuntimeError, ValueError, RayError) as error:
        raise _refused(address, error) from error


def _gcs_of(address: str) -> str:
    """Return host:port of the server that a cluster is joined through. Raises UserError where there is none."""
    try:
        found = services.canonicalize_bootstrap_address_or_die(address.removeprefix("ray://"))
    except (ConnectionError, ValueError, socket.gaierror) as error:
        raise _refused(address, error) from error
    host = found.rpartition(":")[0].strip("[]")
    try:
        socket.getaddrinfo(host, None)
    except socket.gaierror as error:
        if error.errno == socket.EAI_AGAIN:
            raise MachineFault(
                f"the name of {address} cannot be looked up now: try again when the network is up"
            ) from None
        raise UserError(
            f"resources.cluster.address or RAY_ADDRESS is {address}, and no machine has that name"
        ) from error
    return found


def _refused(address: str, error: Exception) -> UserError:
    reason = next(iter(str(error).splitlines()), "") or type(error).__name__
    return UserError(
        f"no Ray cluster can be joined at {address} ({reason.rstrip('.')}): start one with `ray start --head`, "
        "start this command on one of its nodes, or, to start Ray on this machine alone, set resources.cluster.address "
        "to local and unset RAY_ADDRESS"
    )


def wait_for_answer(gcs: str, *, asked: str, within_s: float = ANSWER_S) -> None:
    """Return as soon as a gRPC server answers; Ray itself would try for minutes, without a word.

    gcs: host:port;  asked: the address that the user knows. Raises MachineFault.
    """
    channel: Any = init_grpc_channel(gcs)
    try:
        grpc.channel_ready_future(channel).result(timeout=within_s)
    except grpc.FutureTimeoutError:
        tried = gcs if asked == gcs else f"{asked}, that is {gcs}"
        raise MachineFault(
            f"no Ray cluster answers at {tried}; it was tried for {within_s:g} s: check that the cluster is up, that "
            "resources.cluster.address and RAY_ADDRESS name its head, and that no firewall is between; then start the "
            "same command again"
        ) from None
    finally:
        channel.close()


def check_same_code(*, within_s: float | None = NODES_S) -> None:
    """Compare the sources of every living node with the driver's, all nodes at once.

    within_s: for all of them; None = as long as it takes
    Raises MixedClusterError naming the nodes that run others, MachineFault naming those that do not answer. A node
    that leaves meanwhile is not missed; one that joins later is not asked.
    """
    nodes = {node["NodeID"]: node["NodeManagerAddress"] for node in ray.nodes() if node["Alive"]}
    asked = {ask_on(node): node for node in nodes}
    ready, silent = ray.wait(list(asked), num_returns=len(asked), timeout=within_s)
    found = {asked[each]: digest for each in ready if (digest := _answer(each))}
    alive = {node["NodeID"] for node in ray.nodes() if node["Alive"]}
    judge({nodes[node]: digest for node, digest in found.items()}, ours=code_digest())
    if missing := [nodes[asked[each]] for each in silent if asked[each] in alive]:
        raise MachineFault(
            f"{len(missing)} of {len(nodes)} nodes of the cluster did not answer within {within_s:g} s "
            f"({_some(missing)}): look at them, or remove them from the cluster; then start the same command again"
        )
    log.info("driver and workers run the same sources, %s, on %d of %d nodes", code_digest(), len(found), len(nodes))


def ask_on(node: str) -> "ray.ObjectRef[str]":
    """Return the digest of the sources on a node, as a future."""
    place: Any = NodeAffinitySchedulingStrategy(node, soft=False)  # Ray's types know it not
    return ray.remote(num_cpus=0, max_retries=0, scheduling_strategy=place)(code_digest).remote()


def _answer(reference: "ray.ObjectRef[str]") -> str:
    try:
        return ray.get(reference)
    except RayError as error:
        log.warning("a node of the cluster did not run the comparison of the sources (%s)", type(error).__name__)
        return ""


def judge(found: Mapping[str, str], *, ours: str) -> None:
    """Raise MixedClusterError where nodes run other sources than the driver. found: address of a node -> digest."""
    if others := [f"{node} {digest}" for node, digest in found.items() if digest != ours]:
        raise MixedClusterError(
            f"the driver runs sources {ours}, {len(others)} of {len(found)} nodes run others ({_some(others)}): "
            "install the same mammoloop on every node "
            "(with `ray job submit --working-dir`, an uploaded folder hides an installed wheel)"
        )


def _some(names: list[str]) -> str:
    more = len(names) - _NAMED
    return ", ".join(names[:_NAMED]) + (f" and {more} more" if more > 0 else "")
