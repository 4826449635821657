"""What decoders print, log or warn of while they decode.

Most decoders make up what the data lacks and only mention it: libjpeg prints "premature end of data segment" in the
very case that it needs a bit which is not there, and goes on with zeros. So a message is a fault of the data.
"""

import logging
import os
import tempfile
import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager

from system.imaging.refused import ImageRefused

STDERR = 2  # the decoders are C and write to it directly
# GDCM tries its decoders for 8, 12 and 16 bits one after another: the first ones print why they are not the right one
HARMLESS = ("Unsupported JPEG data precision", "Invalid SOS parameters for sequential JPEG")
_lock = threading.Lock()  # of the process's one stderr


@contextmanager
def refused_on_message() -> Iterator[None]:
    """Refuse the picture when anything inside prints, logs or warns. Raises ImageRefused truncated.

    What pydicom warns of is left out: it compares headers, and what it finds costs no pixel.
    """
    with (
        _lock,
        tempfile.TemporaryFile() as printed,
        _logged() as logged,
        warnings.catch_warnings(record=True) as warned,
    ):
        warnings.simplefilter("always")
        before = os.dup(STDERR)
        os.dup2(printed.fileno(), STDERR)
        try:
            yield
        finally:
            os.dup2(before, STDERR)
            os.close(before)
        printed.seek(0)
        lines = [line for line in printed.read().decode(errors="replace").splitlines() if line.strip()]
    spoken = [line for line in lines if not line.startswith(HARMLESS)]
    foreign = [warning for warning in warned if f"{os.sep}pydicom{os.sep}" not in warning.filename]
    if count := len(spoken) + len(logged) + len(foreign):
        raise ImageRefused("truncated", f"the decoder has made up a part of the picture: {count} messages of it")


@contextmanager
def _logged() -> Iterator[list[str]]:
    """Collect the names of the loggers that log a warning or more; pydicom's are left out."""
    found: list[str] = []

    class Collecting(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            if not record.name.startswith("pydicom"):
                found.append(record.name)

    handler = Collecting(logging.WARNING)
    logging.getLogger().addHandler(handler)
    try:
        yield found
    finally:
        logging.getLogger().removeHandler(handler)
