"""The lock that a driver holds on a run's folder; it ends with the process."""

import fcntl
import time
from pathlib import Path
from typing import IO

LOCK = "driver.lock"
_TRIES, _WAIT_S = 3, 0.1


def taken(lock: IO[str]) -> bool:
    """Take the lock for this process and return whether it was free. lock: the open file.

    Tried a few times: `is_held` holds it for an instant.
    """
    for attempt in range(_TRIES):
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if attempt + 1 < _TRIES:
                time.sleep(_WAIT_S)
        else:
            return True
    return False


def is_held(run: Path, *, lock: str = LOCK) -> bool:
    """Return whether a driver works on a run, here or on another node that the storage keeps locks for.

    lock: its file in the run
    """
    try:
        with (run / lock).open(encoding="utf8") as file:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except FileNotFoundError:
        return False
    except BlockingIOError:
        return True
    return False
