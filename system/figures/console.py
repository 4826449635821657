"""The console that tables are printed on."""

from collections.abc import Mapping

from rich.console import Console
from rich.table import Table

_WIDTH = 180  # of a file or a log, which does not wrap


def console() -> Console:
    """Return standard output as a console; texts are shown as they are, whatever markup a file brings along."""
    found = Console(markup=False)
    return found if found.is_terminal else Console(width=_WIDTH, markup=False)


def two_columns(title: str, rows: Mapping[str, object]) -> Table:
    """Return names and their values as a table, one per row."""
    table = Table(title=title, title_justify="left")
    table.add_column("what")
    table.add_column("number", justify="right")
    for what, value in rows.items():
        table.add_row(what, str(value))
    return table
