"""No node of the cluster is left: noticed within the patience, in the midst of whatever the main thread waits for."""

import signal
import socket
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from pipelines import last_node
from pipelines.last_node import expected, raylet_expected
from pipelines.own_process import OWN
from system.errors import MachineFault, WorkerLost


def answering(*answers: bool | Exception) -> Callable[[], bool]:
    """Return what gives these answers one after another, the last for ever."""
    left = list(answers)

    def any_alive() -> bool:
        answer = left.pop(0) if len(left) > 1 else left[0]
        if isinstance(answer, Exception):
            raise answer
        return answer

    return any_alive


@pytest.mark.parametrize("gone", [False, RuntimeError("the service is gone")])
def test_a_wait_ends_with_the_machines_fault(gone: bool | Exception) -> None:
    began_s = time.monotonic()
    with (
        pytest.raises(MachineFault, match="a process was killed or lost, no node of the cluster is left: look for"),
        expected(answering(True, gone), every_s=0.02, patience_s=0.1),
    ):
        threading.Event().wait(60)
    assert time.monotonic() - began_s < 30


def test_a_process_that_hangs_in_clearing_up_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    given_up: list[Exception] = []
    monkeypatch.setattr(last_node, "CLEARING_UP_S", 0.1)
    monkeypatch.setattr(OWN, "give_up", given_up.append)

    def wait_and_clear_up() -> None:
        try:
            threading.Event().wait(60)
        finally:
            time.sleep(1)  # stands for Ray's clearing up

    with pytest.raises(MachineFault) as fault, expected(answering(False), every_s=0.02, patience_s=0.05):
        wait_and_clear_up()
    assert [str(each) for each in given_up] == [str(fault.value)]


def test_a_process_that_waits_where_no_signal_is_seen_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    given_up: list[Exception] = []
    monkeypatch.setattr(last_node, "CLEARING_UP_S", 0.1)
    monkeypatch.setattr(OWN, "give_up", given_up.append)

    def wait_in_ray() -> None:
        signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGUSR1])  # as a call of Ray's C++ that does not return
        deadline_s = time.monotonic() + 10
        while not given_up and time.monotonic() < deadline_s:
            time.sleep(0.02)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, [signal.SIGUSR1])

    with pytest.raises(MachineFault), expected(answering(False), every_s=0.02, patience_s=0.05):
        wait_in_ray()
    assert ["no node of the cluster is left" in str(each) for each in given_up] == [True]


def test_a_node_that_comes_back_in_time_ends_nothing() -> None:
    before = signal.getsignal(signal.SIGUSR1)
    with expected(answering(True, False, False, True), every_s=0.05, patience_s=2.0):
        time.sleep(0.5)
    assert signal.getsignal(signal.SIGUSR1) == before


def test_after_the_block_nothing_is_raised_any_more() -> None:
    before, asked, released = signal.getsignal(signal.SIGUSR1), threading.Event(), threading.Event()

    def any_alive() -> bool:
        asked.set()
        released.wait(30)
        return False

    with expected(any_alive, every_s=0.01, patience_s=0.0):
        assert asked.wait(30)
    released.set()
    time.sleep(0.5)  # the signal would end this process
    assert signal.getsignal(signal.SIGUSR1) == before


def test_in_another_thread_it_does_nothing() -> None:
    found: list[object] = []

    def work() -> None:
        with expected(answering(False), every_s=0.01, patience_s=0.01):
            time.sleep(0.2)
            found.append("ended")

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert found == ["ended"]


@pytest.fixture
def connected(tmp_path: Path) -> Iterator[tuple[str, socket.socket]]:
    """Give the path of a socket to which this process is connected, and the other end, which stands for a raylet."""
    path = str(tmp_path / "raylet")
    with socket.socket(socket.AF_UNIX) as server, socket.socket(socket.AF_UNIX) as own:
        server.bind(path)
        server.listen()
        own.connect(path)
        raylet, _ = server.accept()
        with raylet:
            yield path, raylet


def test_the_end_of_the_own_raylet_is_said_at_once(
    connected: tuple[str, socket.socket], monkeypatch: pytest.MonkeyPatch
) -> None:
    said, ended = list[tuple[Exception, bool]](), threading.Event()

    def give_up(error: Exception, *, of_raylet: bool) -> None:
        said.append((error, of_raylet))
        ended.set()

    monkeypatch.setattr(OWN, "give_up", give_up)
    path, raylet = connected
    with raylet_expected([path]):
        raylet.sendall(b"what Ray reads")  # no end
        assert not ended.wait(0.2)
        raylet.close()
        assert ended.wait(30)
    error, of_raylet = said[0]
    assert (type(error), of_raylet) == (WorkerLost, True)
    assert "Ray's raylet on this machine" in str(error)


def test_after_the_block_the_raylet_is_no_longer_watched(
    connected: tuple[str, socket.socket], monkeypatch: pytest.MonkeyPatch
) -> None:
    said: list[Exception] = []
    monkeypatch.setattr(OWN, "give_up", lambda error, **_: said.append(error))
    path, raylet = connected
    descriptors = len(list(Path("/proc/self/fd").iterdir()))
    with raylet_expected([path]):
        assert len(list(Path("/proc/self/fd").iterdir())) > descriptors
    assert len(list(Path("/proc/self/fd").iterdir())) == descriptors
    raylet.close()
    time.sleep(0.1)
    assert not said


def test_without_a_raylet_of_its_own_a_command_goes_on(monkeypatch: pytest.MonkeyPatch) -> None:
    said: list[Exception] = []
    monkeypatch.setattr(OWN, "give_up", lambda error, **_: said.append(error))
    for sockets in ([], ["/nowhere/raylet"]):
        with raylet_expected(sockets):
            time.sleep(0.1)
    assert not said
