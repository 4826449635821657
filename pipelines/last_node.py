"""Notice that no node of the cluster is left: Ray's own calls would wait for ever for one to come.

The raylet of this machine alone is watched more closely. A call that finds its object store gone ends the process with
exit code 1, inside Ray's C++, without a message; a call that only waits would end after a minute and a half.
"""

import logging
import os
import select
import signal
import socket
import stat
import threading
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from time import monotonic, sleep
from types import FrameType

from pipelines.own_process import OWN
from system.errors import MachineFault
from system.faults import KILLED, STOOD_STILL, machine_fault

log = logging.getLogger(__name__)

EVERY_S = 10.0
PATIENCE_S = 30.0  # beyond the minute in which Ray takes a silent node for dead
CLEARING_UP_S = 10.0  # Ray's own may wait for a node too
_WITH = signal.SIGUSR1  # to this process's main thread alone, which may wait in Ray


@contextmanager
def expected(
    any_alive: Callable[[], bool], *, every_s: float = EVERY_S, patience_s: float = PATIENCE_S
) -> Iterator[None]:
    """Raise MachineFault in the main thread once no node has been alive for a while. Does nothing in another thread.

    A process that does one command is ended where the main thread does not come back with it.

    any_alive: whether any node of the cluster is; an error counts as no
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    over, lock, main = threading.Event(), threading.Lock(), threading.get_ident()
    before = signal.signal(_WITH, _raise)

    def look() -> None:
        seen_s = monotonic()
        while not over.wait(every_s):
            if _holds(any_alive):
                seen_s = monotonic()
            elif monotonic() - seen_s > patience_s:
                with lock:  # after the block the signal would end this process
                    if over.is_set():
                        return
                    signal.pthread_kill(main, _WITH)
                sleep(CLEARING_UP_S)
                if OWN.give_up:
                    OWN.give_up(
                        _none_left()
                    )  # the main thread waits in Ray's C++, where no signal is seen, or after it
                return

    threading.Thread(target=look, name="last node", daemon=True).start()
    try:
        yield
    finally:
        with lock:
            over.set()
        signal.signal(_WITH, before)


@contextmanager
def raylet_expected(sockets: Collection[str]) -> Iterator[None]:
    """End the command with MachineFault as soon as the raylet that this process has started hangs up.

    sockets: paths of the raylet's, to which this process is connected; none = there is no such raylet. A process that
        does more than one command is left to `expected`.
    """
    give_up, connections = OWN.give_up, _connections_to(sockets)
    if give_up is None or not connections:
        for each in connections:
            each.close()
        yield
        return
    fault = machine_fault(KILLED, detail="Ray's raylet on this machine")
    ending, ended = socket.socketpair()
    poll = select.poll()
    for each in (*connections, ended):
        poll.register(each, select.POLLRDHUP)  # nothing is read: what comes is Ray's

    def wait() -> None:
        if ended.fileno() not in {descriptor for descriptor, _ in poll.poll()}:
            give_up(fault, of_raylet=True)

    watch = threading.Thread(target=wait, name="raylet", daemon=True)
    watch.start()
    try:
        yield
    finally:
        ending.close()
        watch.join()
        for each in (*connections, ended):
            each.close()


@contextmanager
def ended_within(limit_s: float) -> Iterator[None]:
    """End the command with MachineFault where the block, which leaves Ray, takes longer.

    Ray's own waits for ever for a raylet that stands still. Does nothing in a process that does more than one command.
    """
    if OWN.give_up is None:
        yield
        return
    fault = machine_fault(STOOD_STILL, detail="Ray did not end when the work was done")
    giving_up = threading.Timer(limit_s, OWN.give_up, [fault])
    giving_up.daemon = True
    giving_up.start()
    try:
        yield
    finally:
        giving_up.cancel()


def _connections_to(sockets: Collection[str]) -> list[socket.socket]:
    """Return this process's connections to sockets of Unix, each under a descriptor of its own."""
    found: list[socket.socket] = []
    for path in Path("/proc/self/fd").glob("*"):
        with suppress(OSError):  # it is closed meanwhile, or no socket
            if not stat.S_ISSOCK(os.fstat(int(path.name)).st_mode):
                continue
            each = socket.socket(fileno=os.dup(int(path.name)))
            if each.family == socket.AF_UNIX and _other_end(each) in sockets:
                found.append(each)
            else:
                each.close()
    return found


def _other_end(connection: socket.socket) -> str:
    """Return the path of the socket that one of Unix is connected to; "" where it is not, or it has no path."""
    try:
        return str(connection.getpeername())
    except OSError:
        return ""


def _holds(any_alive: Callable[[], bool]) -> bool:
    try:
        return any_alive()
    except Exception as error:
        log.debug("the cluster's nodes cannot be listed: %s", type(error).__name__)
        return False


def _raise(_: int, __: FrameType | None) -> None:
    raise _none_left()


def _none_left() -> MachineFault:
    lost = machine_fault(KILLED, detail="no node of the cluster is left")
    return MachineFault(str(lost))  # no WorkerLost: another try finds no node either
