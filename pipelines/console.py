"""Where tables are printed."""

from rich.console import Console

_WIDTH = 160  # of a file or a log, which does not wrap


def console() -> Console:
    """Return standard output as a console."""
    found = Console()
    return found if found.is_terminal else Console(width=_WIDTH)
