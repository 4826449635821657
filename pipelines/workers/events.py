"""TensorBoard's file of numbers and pictures, written at once.

tensorboardX's SummaryWriter writes in a thread of its own: a full disk ends that thread, and whoever hands it the next
numbers waits without end.
"""

import time
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from tensorboardX.event_file_writer import EventsWriter
from tensorboardX.proto.event_pb2 import Event  # type: ignore[attr-defined]
from tensorboardX.summary import hparams, image, scalar


class EventFile:
    """One file of events in a folder."""

    def __init__(self, folder: Path) -> None:
        """Begin a new file."""
        folder.mkdir(parents=True, exist_ok=True)
        self._file = EventsWriter(str(folder / "events"))

    def write(self, scalars: Mapping[str, float], *, step: int) -> None:
        """Add a step's numbers. Raises OSError where they cannot be written."""
        for name, value in scalars.items():
            self._file.write_event(Event(wall_time=time.time(), step=step, summary=scalar(name, value)))
        self._file.flush()

    def draw(self, pictures: Mapping[str, NDArray[np.uint8]], *, step: int) -> None:
        """Add a step's pictures. pictures: tag -> RGB [H, W, 3]. Raises OSError where they cannot be written."""
        for name, picture in pictures.items():
            summary = image(name, picture, dataformats="HWC")
            self._file.write_event(Event(wall_time=time.time(), step=step, summary=summary))
        self._file.flush()

    def set(self, parameters: Mapping[str, object], measures: Mapping[str, float]) -> None:
        """Give what a training was done with, and what it came to. Raises OSError where it cannot be written."""
        for summary in hparams(dict(parameters), dict(measures)):
            self._file.write_event(Event(wall_time=time.time(), summary=summary))
        self.write(measures, step=0)

    def close(self) -> None:
        """End the file. Raises OSError where it cannot be written."""
        self._file.close()
