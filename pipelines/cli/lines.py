"""Lines of the log, broken between words on a terminal, where one at the foot is written over as a training goes on."""

import logging
import shutil
import time
from typing import TextIO

from system.place import LIVE

FORMAT, TIME = "%(asctime)s %(message)s", "%H:%M:%S"
PLAIN_EVERY_S = 60.0  # where there is no terminal, a live line is one of the log so often
_INDENT = " " * len("00:00:00 ")
_CLEAR = "\r\x1b[2K"  # ECMA-48: erase the whole line


class Wrapped(logging.Formatter):
    """Time and message, as many lines as they take; the second and later ones stand below the message."""

    def __init__(self) -> None:
        super().__init__(FORMAT, datefmt=TIME)

    def format(self, record: logging.LogRecord) -> str:
        """Return the record's lines; those of a traceback are left as they are."""
        from system.figures.layout import wrapped

        first, *others = super().format(record).split("\n")
        return "\n".join([*wrapped(first, shutil.get_terminal_size().columns, indent=_INDENT), *others])


class Lines(logging.StreamHandler[TextIO]):
    """Writes records as lines; on a terminal a live one stands below the others until the next one comes."""

    def __init__(self, stream: TextIO) -> None:
        super().__init__(stream)
        self._terminal = stream.isatty()
        self._plain_s = time.monotonic()  # when the last line was written that stays
        self._stands = False  # a live line, at the foot

    def emit(self, record: logging.LogRecord) -> None:
        """Write one record."""
        if record.levelno != LIVE:
            self._clear()
            self._plain_s = time.monotonic()
            super().emit(record)
        elif self._terminal:
            self._clear()
            self._write(record.getMessage()[: shutil.get_terminal_size().columns - 1])
            self._stands = bool(record.getMessage())
        elif record.getMessage() and time.monotonic() - self._plain_s >= PLAIN_EVERY_S:
            self._plain_s = time.monotonic()
            super().emit(record)

    def _clear(self) -> None:
        if self._stands:
            self._write(_CLEAR)
            self._stands = False

    def _write(self, text: str) -> None:
        try:
            self.stream.write(text)
            self.flush()
        except (OSError, ValueError):  # the terminal is gone, as logging's own handler takes it
            self._stands = False
