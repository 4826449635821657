"""Lines of the log, broken between words on a terminal, where those at the foot are written over as work goes on."""

import logging
import shutil
import time
from typing import TextIO

from system.place import LIVE

FORMAT, TIME = "%(asctime)s %(message)s", "%H:%M:%S"
PLAIN_EVERY_S = 60.0  # where there is no terminal, a live line is one of the log so often
_INDENT = " " * len("00:00:00 ")
_CLEAR, _UP = "\r\x1b[2K", "\x1b[1A"  # ECMA-48: erase the whole line; go to the one above


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
    """Writes records as lines; on a terminal a live one stands below the others until the next one comes.

    A live one may have several lines; elsewhere than on a terminal its first one is written now and then.
    """

    def __init__(self, stream: TextIO) -> None:
        super().__init__(stream)
        self._terminal = stream.isatty()
        self._plain_s = time.monotonic()  # when the last line was written that stays
        self._standing = 0  # live lines, at the foot

    def emit(self, record: logging.LogRecord) -> None:
        """Write one record."""
        if record.levelno != LIVE:
            self._clear()
            self._plain_s = time.monotonic()
            super().emit(record)
        elif self._terminal:
            self._clear()
            width, height = shutil.get_terminal_size()
            lines = record.getMessage().split("\n")[: height - 1]
            self._write("\n".join(line[: width - 1] for line in lines))
            self._standing = len(lines) if record.getMessage() else 0
        elif record.getMessage() and time.monotonic() - self._plain_s >= PLAIN_EVERY_S:
            self._plain_s = time.monotonic()
            first = logging.makeLogRecord(record.__dict__ | {"msg": record.getMessage().partition("\n")[0], "args": ()})
            super().emit(first)

    def _clear(self) -> None:
        if self._standing:
            self._write(_CLEAR + (_UP + _CLEAR) * (self._standing - 1))
            self._standing = 0

    def _write(self, text: str) -> None:
        try:
            self.stream.write(text)
            self.flush()
        except (OSError, ValueError):  # the terminal is gone, as logging's own handler takes it
            self._standing = 0
