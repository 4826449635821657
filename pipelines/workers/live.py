"""How far a training is, within an epoch: written by its first worker now and then, shown by the driver as a live line.

Only for people: what cannot be written or read here is left out, and the training goes on.
"""

import logging
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from pydantic import TypeAdapter, ValidationError

from system.durations import duration_in_words
from system.files.json_out import Measured
from system.place import LIVE, LIVE_LOGGER, PLACE
from system.training.tally import Tally

log = logging.getLogger(LIVE_LOGGER)
NOW = "now.json"
EVERY_S = 2.0  # between two lines


@dataclass(frozen=True)
class Now:
    """Where a training is."""

    epoch: int  # from 1
    num_epochs: int
    step: int  # of the epoch, finished
    num_steps: int  # of the epoch
    loss: Measured  # mean over the epoch so far; NaN before the first good step
    images_per_s: float  # of all workers together
    left_s: float  # to the end of the last epoch, at this speed; validation and checkpoints not counted

    def place(self) -> str:
        """Return the epoch in words."""
        return f"epoch {self.epoch} of {self.num_epochs}"

    def line(self, name: str) -> str:
        """Return it for people. name: of the training."""
        return (
            f"{name}, {self.place()}: step {self.step} of {self.num_steps}, loss {self.loss:.4f}, "
            f"{self.images_per_s:.0f} images/s, about {duration_in_words(self.left_s)} left"
        )


_NOW = TypeAdapter(Now)


def now_of(tally: Tally, *, epoch: int, num_epochs: int, num_steps: int, num_workers: int) -> Now:
    """Return where a training is after a step. epoch: from 1;  num_steps: of an epoch."""
    duration_s = max(tally.duration_s, 1e-9)
    steps_left = num_steps - tally.steps + (num_epochs - epoch) * num_steps
    return Now(
        epoch=epoch,
        num_epochs=num_epochs,
        step=tally.steps,
        num_steps=num_steps,
        loss=tally.losses.get("total", 0.0) / tally.good if tally.good else float("nan"),
        images_per_s=tally.images * num_workers / duration_s,
        left_s=duration_s / max(tally.steps, 1) * steps_left,
    )


class NowFile:
    """The file that the first worker writes."""

    def __init__(self, folder: Path) -> None:
        """Write nothing yet. folder: of the checkpoints, seen by the driver too."""
        self._path, self._written_s = folder / NOW, -EVERY_S

    def write(self, now: Now) -> None:
        """Write where the training is, unless that was done just now."""
        if time.monotonic() - self._written_s < EVERY_S:
            return
        self._written_s = time.monotonic()
        partial = self._path.with_suffix(".part")
        with suppress(OSError):
            partial.write_bytes(_NOW.dump_json(now))
            partial.replace(self._path)


@contextmanager
def shown(folder: Path, *, name: str, every_s: float = EVERY_S / 2) -> Iterator[None]:
    """Show where a training is while the block runs, and keep it in PLACE. name: of the training."""
    ended, place = threading.Event(), PLACE
    (folder / NOW).unlink(missing_ok=True)

    def look() -> None:
        seen = b""
        while not ended.wait(every_s):
            with suppress(OSError, ValidationError):
                written = (folder / NOW).read_bytes()
                if written != seen:
                    seen = written
                    now = _NOW.validate_json(written)
                    place.how_far = now.place()
                    log.log(LIVE, "%s", now.line(name))

    thread = threading.Thread(target=look, daemon=True)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()
        log.log(LIVE, "")
