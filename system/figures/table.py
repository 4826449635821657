"""A table for people: fitted to a terminal without losing a digit, one plain line per row where it is piped."""

from collections.abc import Iterable

from rich.console import Console, ConsoleOptions, RenderResult
from rich.text import Text

from system.figures.layout import Column, fitted, unwrapped, wrapped


class Table:
    """Title, headings, rows of text and a note; printed by rich's Console, as its own table is."""

    def __init__(self, title: str = "", *, note: str = "") -> None:
        """note: a sentence below the rows."""
        self.title, self.note = title, note
        self._headings: list[tuple[str, bool]] = []
        self._rows: list[tuple[str, ...]] = []

    def add_column(self, heading: str, *, right: bool = False) -> None:
        """Add a column; the first one names the rows. right: it holds numbers, which are never wrapped."""
        self._headings.append((heading, right))

    def add_row(self, *cells: str) -> None:
        """Add a row. Raises ValueError where it has not a cell for each column."""
        if len(cells) != len(self._headings):
            raise ValueError(f"a row of {len(cells)} cells in a table of {len(self._headings)} columns")
        self._rows.append(tuple(" ".join(cell.splitlines()) for cell in cells))

    def columns(self) -> list[Column]:
        """Return the content."""
        return [
            Column(heading, tuple(row[place] for row in self._rows), right)
            for place, (heading, right) in enumerate(self._headings)
        ]

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        """Give the lines as rich prints them."""
        if not console.is_terminal:
            yield from _texts([self.title] if self.title else [])
            yield from _texts([*unwrapped(self.columns()), *([self.note] if self.note else [])])
            return
        width = options.max_width
        yield from _texts(wrapped(self.title, width) if self.title else [], style="bold")
        yield from _texts(fitted(self.columns(), width))
        yield from _texts(wrapped(self.note, width) if self.note else [])


def _texts(lines: Iterable[str], *, style: str = "") -> Iterable[Text]:
    return (Text(line, style=style, no_wrap=True, overflow="ignore") for line in lines)
