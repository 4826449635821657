"""Where tables are printed."""

from collections.abc import Mapping

from rich.console import Console
from rich.table import Table

_WIDTH = 180  # of a file or a log, which does not wrap


def console() -> Console:
    """Return standard output as a console."""
    found = Console()
    return found if found.is_terminal else Console(width=_WIDTH)


def two_columns(title: str, rows: Mapping[str, object]) -> Table:
    """Return what something came to as a table: a name and its value a row."""
    table = Table(title=title, title_justify="left")
    table.add_column("what")
    table.add_column("number", justify="right")
    for what, value in rows.items():
        table.add_row(what, str(value))
    return table
