"""Follow a JSON-lines file that a worker appends to, and print each new row as a line for people."""

import json
import logging
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

log = logging.getLogger("mammoloop")


@contextmanager
def follow(path: Path, *, describe: Callable[[dict[str, Any]], str], poll_s: float = 0.5) -> Iterator[None]:
    """Log `describe(row)` for each row that is appended while the block runs."""
    path.touch()
    start = path.stat().st_size  # taken here, so that no row falls between this and the thread's first look
    stop = threading.Event()
    thread = threading.Thread(target=_tail, args=(path, start, describe, stop, poll_s), daemon=True)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()


def _tail(path: Path, start: int, describe: Callable[[dict[str, Any]], str], stop: threading.Event, poll_s: float) -> None:
    with path.open(encoding="utf8") as file:
        file.seek(start)
        rest = ""
        while True:
            last_look = stop.wait(poll_s)
            *lines, rest = (rest + file.read()).split("\n")
            for line in lines:
                log.info("%s", describe(json.loads(line)))
            if last_look:
                return
