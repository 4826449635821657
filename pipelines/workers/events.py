"""TensorBoard's file of a training, written at once.

tensorboardX's SummaryWriter writes in a thread of its own: a full disk ends that thread, and whoever hands it the next
numbers waits without end.
"""

import time
from collections.abc import Mapping
from pathlib import Path

from tensorboardX.event_file_writer import EventsWriter
from tensorboardX.proto.event_pb2 import Event  # type: ignore[attr-defined]
from tensorboardX.summary import scalar


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

    def close(self) -> None:
        """End the file. Raises OSError where it cannot be written."""
        self._file.close()
