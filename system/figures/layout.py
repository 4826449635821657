"""Text in columns of a given width: wrapped between words, never cut; a table that is too wide comes in parts."""

from collections.abc import Sequence
from dataclasses import dataclass

from rich.cells import cell_len, chop_cells

GAP = "  "
_PROSE = 28  # characters from which on a text may be wrapped, and that it keeps
_SHARE_OF_NAMES = 0.4  # of the width, at most, for the names of the rows in a table in parts


@dataclass(frozen=True, slots=True)
class Column:
    """A heading and the texts below it."""

    heading: str
    cells: tuple[str, ...]
    right: bool = False  # aligned to the right, as numbers are, and never wrapped


def wrapped(text: str, width: int, *, indent: str = "") -> list[str]:
    """Return the text as lines of at most `width` characters, broken between words.

    A word that is longer than a line is broken where the line ends, and nothing is left out. indent: of the second
    line and those after it
    """
    lines: list[str] = []
    line, *words = text.split(" ")
    for word in words:
        longer = f"{line} {word}"
        if cell_len(longer) > width and line.strip():
            lines += _broken(line, width)
            longer = indent + word
        line = longer
    return [*lines, *_broken(line, width)]


def _broken(line: str, width: int) -> list[str]:
    return chop_cells(line, width) if cell_len(line) > width else [line]


def unwrapped(columns: Sequence[Column]) -> list[str]:
    """Return one line per row, whatever its width: the headings, then the cells; an empty cell is a dash."""
    whole = [Column(column.heading, tuple(cell or "–" for cell in column.cells), column.right) for column in columns]
    return _rows(whole, [_natural(column) for column in whole], rule=False)


def fitted(columns: Sequence[Column], width: int) -> list[str]:
    """Return the table in lines of at most `width` characters, with every character of it.

    As it is; or with headings and long texts wrapped between words; or in parts, as it is or turned, a row becoming a
    column, whichever takes fewer lines.
    """
    if not columns:
        return []
    if widths := _shrunk(columns, width):
        return _rows(columns, widths, rule=True)
    return min(_in_parts(columns, width), _in_parts(_turned(columns), width), key=len)


def _natural(column: Column) -> int:
    return max(map(cell_len, (column.heading, *column.cells)))


def _least(column: Column) -> int:
    """Return the width that a column needs where its heading and its long texts are wrapped."""
    longest_word = max(map(cell_len, column.heading.split(" ")))
    longest_cell = max(map(cell_len, column.cells), default=0)
    return max(longest_word, longest_cell if column.right else min(longest_cell, _PROSE))


def _shrunk(columns: Sequence[Column], width: int) -> list[int]:
    """Return the widths of columns that fit, the widest made narrower first; empty where they cannot fit."""
    widths, least = [_natural(column) for column in columns], [_least(column) for column in columns]
    room = width - len(GAP) * (len(columns) - 1)
    while sum(widths) > room:
        slack, place = max((have - need, place) for place, (have, need) in enumerate(zip(widths, least, strict=True)))
        if not slack:
            return []
        widths[place] -= 1
    return widths


def _rows(columns: Sequence[Column], widths: Sequence[int], *, rule: bool) -> list[str]:
    headings = [wrapped(column.heading, width) for column, width in zip(columns, widths, strict=True)]
    height = max(map(len, headings))
    lines = _side_by_side([[""] * (height - len(lines)) + lines for lines in headings], columns, widths)
    if rule:
        lines.append("─" * (sum(widths) + len(GAP) * (len(widths) - 1)))
    for row in range(len(columns[0].cells)):
        cells = [wrapped(column.cells[row], width) for column, width in zip(columns, widths, strict=True)]
        lines += _side_by_side(cells, columns, widths)
    return lines


def _side_by_side(blocks: Sequence[list[str]], columns: Sequence[Column], widths: Sequence[int]) -> list[str]:
    lines = []
    for number in range(max(map(len, blocks))):
        parts = []
        for block, column, width in zip(blocks, columns, widths, strict=True):
            text = block[number] if number < len(block) else ""
            blank = " " * (width - cell_len(text))
            parts.append(blank + text if column.right else text + blank)
        lines.append(GAP.join(parts).rstrip())
    return lines


def _turned(columns: Sequence[Column]) -> list[Column]:
    """Return the table with a column for each row; what named the rows are the headings."""
    first, *others = columns
    names = Column(first.heading, tuple(column.heading for column in others))
    numbers = all(column.right for column in others)
    rows = zip(first.cells, *(column.cells for column in others), strict=True)
    return [names, *(Column(name, tuple(cells), numbers) for name, *cells in rows)]


def _in_parts(columns: Sequence[Column], width: int) -> list[str]:
    """Return the table as several below one another, each with the first column and as many others as fit."""
    names, *left = columns
    name_width = min(_natural(names), int(width * _SHARE_OF_NAMES))
    lines: list[str] = []
    while left:
        part, widths = [names], [name_width]
        while left and (len(part) == 1 or sum(widths) + _natural(left[0]) + len(GAP) * len(widths) <= width):
            part.append(left.pop(0))
            widths.append(_natural(part[-1]))
        widths[1] = min(widths[1], width - name_width - len(GAP))  # of one alone
        lines += [*([""] if lines else []), *_rows(part, widths, rule=True)]
    return lines
