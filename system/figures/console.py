"""Standard output as people get it: tables and sentences, on a terminal as wide as it is, elsewhere one line each."""

from collections.abc import Mapping
from pathlib import Path

from rich.console import Console

from system.figures.table import Table
from system.files.json_out import STDOUT

_WIDTH = 100_000  # of a file, a pipe or a log, which does not wrap


def console(*, json_file: Path | None = None) -> Console:
    """Return standard output; texts are shown as they are, whatever markup a file brings along.

    json_file: where the results go as JSON as well; nothing else is printed where that is standard output
    """
    found = Console(markup=False, highlight=False, emoji=False, quiet=json_file == STDOUT)
    if not found.is_terminal:
        found.width = _WIDTH
    return found


def two_columns(title: str, rows: Mapping[str, object]) -> Table:
    """Return names and their values as a table, one per row."""
    table = Table(title)
    table.add_column("what")
    numbers = all(isinstance(value, int | float) for value in rows.values())
    table.add_column("number" if numbers else "value", right=numbers)
    for what, value in rows.items():
        table.add_row(what, str(value))
    return table
