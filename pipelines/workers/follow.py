"""Follow a file that a worker appends lines to, and log each new line for people."""

import logging
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

log = logging.getLogger("mammoloop")


@contextmanager
def follow(path: Path, *, describe: Callable[[str], str], poll_s: float = 0.5) -> Iterator[None]:
    """Log `describe(line)` for each line that is appended while the block runs."""
    path.touch()
    start = path.stat().st_size  # taken here, so that no line falls between this and the thread's first look
    stop = threading.Event()
    thread = threading.Thread(target=_tail, args=(path, start, describe, stop, poll_s), daemon=True)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()


def _tail(path: Path, start: int, describe: Callable[[str], str], stop: threading.Event, poll_s: float) -> None:
    with path.open(encoding="utf8") as file:
        file.seek(start)
        rest = ""
        while True:
            last_look = stop.wait(poll_s)
            *lines, rest = (rest + file.read()).split("\n")
            for line in lines:
                log.info("%s", describe(line))
            if last_look:
                return
