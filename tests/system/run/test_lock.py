"""The lock of a run's driver: who looks whether it is held does not keep a driver from taking it."""

import fcntl
import threading
from pathlib import Path

import pytest

from system.run.lock import LOCK, is_held, taken


@pytest.fixture
def run(tmp_path: Path) -> Path:
    (tmp_path / LOCK).touch()
    return tmp_path


def test_a_folder_whose_lock_is_free_or_not_there_is_not_held(run: Path, tmp_path: Path) -> None:
    assert not is_held(run)
    assert not is_held(tmp_path / "none")


def test_a_driver_holds_it_until_it_closes_the_file(run: Path) -> None:
    with (run / LOCK).open("w") as lock:
        assert taken(lock)
        assert is_held(run)
        assert is_held(run), "looking has taken it away"
        with (run / LOCK).open("w") as second:
            assert not taken(second)
    assert not is_held(run)


def test_a_driver_waits_for_someone_who_only_looks(run: Path) -> None:
    looking = (run / LOCK).open()
    fcntl.flock(looking, fcntl.LOCK_SH)
    done = threading.Timer(0.05, looking.close)
    done.start()
    with (run / LOCK).open("w") as lock:
        assert taken(lock)
    done.join()
