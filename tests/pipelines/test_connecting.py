"""Which cluster is joined, how soon one that does not answer is said, and that every node's sources are compared."""

import re
import socket
from collections.abc import Iterator
from concurrent import futures
from pathlib import Path
from typing import Any

import grpc
import pytest

from pipelines import cluster, connecting
from pipelines.connecting import MixedClusterError, address_of, judge, wait_for_answer
from system.errors import MachineFault, UserError
from system.resources import ClusterResources
from tests.conftest import free_port


@pytest.mark.parametrize(
    ("setting", "variable", "expected"),
    [
        ("local", "", "local"),
        ("auto", "", "auto"),
        ("local", "10.0.0.7:6379", "10.0.0.7:6379"),
        ("auto", "10.0.0.7:6379", "10.0.0.7:6379"),
        ("auto", "local", "local"),
        ("local", "auto", "auto"),
        ("10.0.0.8:6379", "10.0.0.7:6379", "10.0.0.8:6379"),
        ("ray://head:10001", "10.0.0.7:6379", "ray://head:10001"),
    ],
)
def test_an_address_counts_before_ray_address_and_that_before_local_and_auto(
    setting: str, variable: str, expected: str
) -> None:
    environment = {"RAY_ADDRESS": variable} if variable else {}
    assert address_of(ClusterResources(address=setting), environment) == expected


def test_it_is_logged_that_ray_address_counts(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO")
    address_of(ClusterResources(address="local"), {"RAY_ADDRESS": "10.0.0.7:6379"})
    assert caplog.messages == [
        "RAY_ADDRESS is 10.0.0.7:6379: Ray is taken from there (resources.cluster.address is local)"
    ]


@pytest.fixture
def deaf() -> Iterator[str]:
    """A server that takes connections and never answers, as one that is stopped does."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        yield f"127.0.0.1:{listening.getsockname()[1]}"


@pytest.fixture
def answering() -> Iterator[str]:
    server = grpc.server(futures.ThreadPoolExecutor(1))
    port = server.add_insecure_port("0.0.0.0:0")  # Ray takes a machine's own address for 127.0.0.1
    server.start()
    yield f"127.0.0.1:{port}"
    server.stop(None)


def test_a_server_that_answers_is_not_waited_for(answering: str) -> None:
    wait_for_answer(answering, asked=answering, within_s=60)


def test_a_deaf_server_is_given_up_with_what_was_tried(deaf: str) -> None:
    with pytest.raises(
        MachineFault,
        match=rf"^no Ray cluster answers at {deaf}; it was tried for 0\.5 s: check .*RAY_ADDRESS.*firewall",
    ):
        wait_for_answer(deaf, asked=deaf, within_s=0.5)


def test_a_closed_port_is_given_up_under_the_name_that_the_user_knows() -> None:
    port = free_port()
    with pytest.raises(MachineFault, match=rf"at localhost:{port}, that is [\d.]+:{port}; it was tried for 0\.5 s"):
        wait_for_answer(f"127.0.0.1:{port}", asked=f"localhost:{port}", within_s=0.5)


def test_a_cluster_is_asked_for_less_than_30_seconds() -> None:
    assert connecting.ANSWER_S <= 25


def test_joining_ends_before_ray_tries_for_minutes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cluster.ray, "is_initialized", lambda: False)
    monkeypatch.setattr(connecting.ray, "init", lambda **_: pytest.fail("Ray itself was asked"))
    monkeypatch.setattr(
        connecting, "wait_for_answer", lambda gcs, *, asked: wait_for_answer(gcs, asked=asked, within_s=0.5)
    )
    monkeypatch.setenv("RAY_ADDRESS", f"127.0.0.1:{free_port()}")
    with (
        pytest.raises(MachineFault, match="no Ray cluster answers"),
        cluster.session(ClusterResources(address="local")),
    ):
        pytest.fail("a session without a cluster")


@pytest.mark.parametrize(
    ("address", "reason"),
    [
        ("nowhere", r"\(Invalid address format: nowhere\)"),
        ("no-such-host.invalid:6379", r"no-such-host\.invalid:6379, and no machine has that name$"),
    ],
)
def test_an_address_that_can_be_none_is_the_users(address: str, reason: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def unknown(*_: object) -> None:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(connecting.socket, "getaddrinfo", unknown)
    with pytest.raises(UserError, match=reason):
        connecting.join(address, worker_logs=False)


def test_a_machine_that_is_no_node_of_the_cluster_is_refused(monkeypatch: pytest.MonkeyPatch, answering: str) -> None:
    def foreign(**_: object) -> None:
        raise RuntimeError("This node has an IP address of 10.0.0.9.\nand more")

    monkeypatch.setattr(connecting.ray, "init", foreign)
    with pytest.raises(
        UserError, match=r"joined at .* \(This node has an IP address of 10\.0\.0\.9\): .* on one of its nodes"
    ):
        connecting.join(answering, worker_logs=False)


def test_every_node_that_runs_other_sources_is_named_up_to_five() -> None:
    judge({"10.0.0.1": "aa", "10.0.0.2": "aa"}, ours="aa")
    with pytest.raises(
        MixedClusterError, match=r"runs sources aa, 1 of 2 nodes run others \(10\.0\.0\.2 bb\): install the same"
    ):
        judge({"10.0.0.1": "aa", "10.0.0.2": "bb"}, ours="aa")
    many = {f"10.0.0.{number}": "bb" for number in range(40)}
    with pytest.raises(MixedClusterError, match=r"40 of 40 nodes .*10\.0\.0\.4 bb and 35 more\)"):
        judge(many, ours="aa")


class FakeCluster:
    """Forty nodes, asked one by one and waited for together; one is dead, one falls silent, one leaves meanwhile."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, *, silent: set[str], leaves: set[str]) -> None:
        self.asked: list[str] = []
        self.silent, self.left, self.leaves = silent, set[str](), leaves
        monkeypatch.setattr(connecting, "ask_on", self.ask)
        for name in ("nodes", "wait", "get"):
            monkeypatch.setattr(connecting.ray, name, getattr(self, name))
        monkeypatch.setattr(connecting, "code_digest", lambda: "aa")

    def nodes(self) -> list[dict[str, Any]]:
        names = [f"n{number}" for number in range(40)]
        return [{"NodeID": n, "NodeManagerAddress": f"10.{n}", "Alive": n not in {"n0", *self.left}} for n in names]

    def ask(self, node: str) -> str:
        self.asked.append(node)
        return node

    def wait(self, asked: list[str], *, num_returns: int, timeout: float) -> tuple[list[str], list[str]]:
        assert num_returns == len(asked)
        self.left = self.leaves
        return [each for each in asked if each not in self.silent], [each for each in asked if each in self.silent]

    def get(self, node: str) -> str:
        return "bb" if node == "n39" else "aa"


def test_every_living_node_is_asked_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    fake = FakeCluster(monkeypatch, silent=set(), leaves=set())
    with pytest.raises(MixedClusterError, match=r"1 of 39 nodes run others \(10\.n39 bb\)"):
        connecting.check_same_code()
    assert len(fake.asked) == 39
    assert "n0" not in fake.asked


def test_a_node_that_does_not_answer_is_named_and_one_that_left_is_not(monkeypatch: pytest.MonkeyPatch) -> None:
    FakeCluster(monkeypatch, silent={"n3", "n4", "n39"}, leaves={"n4", "n39"})
    with pytest.raises(MachineFault, match=r"^1 of 39 nodes of the cluster did not answer within 7 s \(10\.n3\): look"):
        connecting.check_same_code(within_s=7)


@pytest.mark.ray
def test_the_nodes_of_a_cluster_run_the_drivers_sources(ray_cluster: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO")
    connecting.check_same_code()
    assert re.fullmatch(r"driver and workers run the same sources, \w+, on 1 of 1 nodes", caplog.messages[-1])


@pytest.mark.ray
def test_nodes_with_other_sources_are_found_by_asking_them(ray_cluster: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connecting, "judge", lambda found, *, ours: judge(found, ours="another"))
    with pytest.raises(MixedClusterError, match=r"1 of 1 nodes run others \([\d.]+ \w+\)"):
        connecting.check_same_code()
