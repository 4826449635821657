"""Write CSV files that are safe to open in a spreadsheet, and that give back what was written."""

import csv
import unicodedata
from collections.abc import Iterable, Sequence
from numbers import Number
from pathlib import Path
from typing import Any, TextIO

from system.files.atomic import PLAIN, replacing

_FORMULA = frozenset("=+-@")  # a spreadsheet runs a text that begins with one of these, also in its full-width form
_LINE = frozenset("\t\r\n")  # some run what follows one of these
_QUOTES = frozenset("'\"`´‘’‚‛“”„‟«»‹›＇＂")
_MARK = "'"  # a spreadsheet takes what follows as a text, and does not show the mark


def print_csv(file: TextIO, columns: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    """Write rows to an open text; a text that a spreadsheet would run as a formula gets an apostrophe before it."""
    _write(csv.writer(file, lineterminator="\n"), columns, rows)


def write_csv(path: Path, columns: Sequence[str], rows: Iterable[Sequence[object]], *, mode: int = PLAIN) -> None:
    """Write a whole file in UTF-8; a text that a spreadsheet would run as a formula gets an apostrophe before it.

    mode: permission bits
    """
    with replacing(path, mode=mode) as partial, partial.open("w", encoding="utf8", newline="") as file:
        _write(csv.writer(file), columns, rows)


def harmless(text: str) -> str:
    """Return the text so that a spreadsheet does not run it: with an apostrophe before it if it begins as a formula."""
    return f"{_MARK}{text}" if _begins_like_a_formula(text) else text


def as_it_was(text: str) -> str:
    """Return the text that `harmless` was given."""
    return text[1:] if text.startswith(_MARK) and _begins_like_a_formula(text[1:]) else text


def _write(writer: Any, columns: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    writer.writerow([_cell(column) for column in columns])
    writer.writerows([_cell(value) for value in row] for row in rows)


def _cell(value: object) -> object:
    return value if value is None or isinstance(value, Number) else harmless(str(value))


def _begins_like_a_formula(text: str) -> bool:
    """Whether a formula or a new line begins the text, behind any blanks, quotes and invisible characters."""
    for character in text:
        if character in _LINE:
            return True
        if not _is_skipped(character):
            return unicodedata.normalize("NFKC", character) in _FORMULA
    return False


def _is_skipped(character: str) -> bool:
    return character in _QUOTES or unicodedata.category(character)[0] in "ZC"  # separators; control, format characters
