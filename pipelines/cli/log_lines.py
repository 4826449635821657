"""Lines of the log on a terminal: broken between words, and none wider than the terminal."""

import logging
import shutil
import sys

_TIME = "%H:%M:%S"
_INDENT = " " * len("00:00:00 ")


class Wrapped(logging.Formatter):
    """Time and message, as many lines as they take; the second and later ones stand below the message."""

    def __init__(self) -> None:
        super().__init__("%(asctime)s %(message)s", datefmt=_TIME)

    def format(self, record: logging.LogRecord) -> str:
        """Return the record's lines; those of a traceback are left as they are."""
        from system.figures.layout import wrapped

        first, *others = super().format(record).split("\n")
        return "\n".join([*wrapped(first, shutil.get_terminal_size().columns, indent=_INDENT), *others])


def wrap_log_lines() -> None:
    """Wrap what the log's handlers write, where standard error is a terminal."""
    if sys.stderr.isatty():
        for handler in logging.getLogger().handlers:
            handler.setFormatter(Wrapped())
