"""What failed for a moment is done again; what a store's client has asked about for long is not."""

from collections.abc import Callable

import pytest

from system.faults import passes
from system.files import retries


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """Stand for the clock, [seconds]; waits pass at once."""
    now = [0.0]
    monkeypatch.setattr(retries.time, "monotonic", lambda: now[0])
    monkeypatch.setattr(retries.time, "sleep", lambda _: None)
    return now


def failing(clock: list[float], *, times: int, seconds: float) -> tuple[Callable[[], str], list[int]]:
    """Return what fails so often, taking so long each time, and its calls."""
    calls: list[int] = []

    def do() -> str:
        calls.append(len(calls))
        clock[0] += seconds
        if len(calls) <= times:
            raise TimeoutError("timed out")
        return "done"

    return do, calls


def test_what_fails_for_a_moment_is_done_again(clock: list[float]) -> None:
    do, calls = failing(clock, times=3, seconds=1)
    assert retries.retried(do, again=passes, what="it") == "done"
    assert len(calls) == 4


def test_what_goes_on_failing_is_given_up(clock: list[float]) -> None:
    do, calls = failing(clock, times=99, seconds=1)
    with pytest.raises(TimeoutError):
        retries.retried(do, again=passes, what="it")
    assert len(calls) == retries.NUM_ATTEMPTS


def test_a_store_whose_client_asked_again_for_long_is_not_asked_once_more(clock: list[float]) -> None:
    do, calls = failing(clock, times=99, seconds=retries.STORES_OWN_S + 1)
    with pytest.raises(TimeoutError):
        retries.retried(do, again=passes, what="it")
    assert len(calls) == 1


def test_what_is_no_fault_of_a_store_is_done_again_however_long_it_took(clock: list[float]) -> None:
    def merge() -> None:
        clock[0] += 100
        raise ValueError("another writer committed first")

    clock[0] = 0
    with pytest.raises(ValueError, match="another writer"):
        retries.retried(merge, again=lambda error: isinstance(error, ValueError), what="it")
    assert clock[0] == 100 * retries.NUM_ATTEMPTS
