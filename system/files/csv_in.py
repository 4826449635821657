"""Read CSV files from elsewhere, whole: every mistake in them is named by file and line, all at once."""

import csv
import math
import re
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from system.errors import Mistakes, UserError
from system.files.csv_out import as_it_was

MAX_COUNT = 2**31 - 1  # tables keep counts in 32 bits
MAX_DIGITS = 20  # beyond them a text is not even converted
MAX_NUMBER = 1e12  # no length, place or score of a table is near it
MAX_NAME_BYTES = 255  # of one part of a path, on the file systems in use
MAX_PATH_BYTES = 4096
_NUMBER = re.compile(r"[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]{1,3})?")
_WHOLE_FILE = 2**31 - 1  # characters: a field may be as long as its file; what is too long is for its column to say

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Row:
    """A row of a table; a value that is wrong is added to the mistakes, and a harmless one returned in its place."""

    file: str
    line: int  # or row, where the file has no lines
    values: dict[str, str]
    mistakes: Mistakes
    unit: str = "line"

    @property
    def where(self) -> str:
        """File and line, as a message names them."""
        return f"{self.file} {self.unit} {self.line}"

    def __getitem__(self, column: str) -> str:
        """Return the text of a column."""
        return self.values[column]

    def wrong(self, what: str, *, column: str = "") -> None:
        """Add a mistake: what is wrong, what was found, what to do."""
        self.mistakes.add(f"{self.where}{f', {column}' if column else ''}: {what}")

    def count(self, column: str, *, low: int = 0, high: int = MAX_COUNT) -> int:
        """Return a whole number from low to high."""
        return self._checked(lambda where: to_count(self[column], where=where, low=low, high=high), column, other=low)

    def number(self, column: str, *, low: float = -MAX_NUMBER, high: float = MAX_NUMBER) -> float:
        """Return a number from low to high."""
        return self._checked(lambda where: to_number(self[column], where=where, low=low, high=high), column, other=low)

    def one_of(self, column: str, choices: Sequence[str]) -> str:
        """Return the text, one of the choices."""
        return self._checked(lambda where: one_of(self[column], tuple(choices), where=where), column, other=choices[0])

    def path(self, column: str) -> str:
        """Return the name of a file, which an operating system can look for; "" where none is given."""
        name = self[column].encode("utf8")
        if len(name) > MAX_PATH_BYTES or any(len(part) > MAX_NAME_BYTES for part in name.split(b"/")):
            self.wrong(f"no file has a name of {len(name)} bytes: give its path in the source folder", column=column)
            return ""
        return self[column]

    def given(self, column: str, *, remedy: str) -> str:
        """Return the text, which must not be empty."""
        if not self[column]:
            self.wrong(f"{column} is empty: {remedy}")
        return self[column]

    def _checked(self, read: Callable[[str], T], column: str, *, other: T) -> T:
        try:
            return read(f"{self.where}, {column}")
        except UserError as error:
            self.mistakes.add(str(error))
            return other


def read_records(
    path: Path,
    *,
    of: Callable[[Row], T],
    columns: tuple[str, ...],
    optional: tuple[str, ...] = (),
    delimiter: str = ",",
) -> list[T]:
    """Return a record of each row of a CSV file, as `read_rows` reads it.

    of: makes a record of a row, and adds what is wrong with it to the row's mistakes

    Raises UserError with all mistakes, of the file and of its values.
    """
    mistakes = Mistakes()
    rows = _read(path, columns=columns, optional=optional, delimiter=delimiter, mistakes=mistakes)
    records = [of(Row(path.name, line, values, mistakes)) for line, values in rows]
    mistakes.refuse()
    return records


def read_rows(
    path: Path, *, columns: tuple[str, ...], optional: tuple[str, ...] = (), delimiter: str = ","
) -> list[tuple[int, dict[str, str]]]:
    """Return the rows of a UTF-8 CSV file, each with the number of its last line; empty rows are left out.

    A quoted field may hold line breaks; white space around a field is removed, and so is the apostrophe that
    `write_csv` and spreadsheets put before a text that looks like a formula.

    columns: the file must have them; columns in neither list are left out
    optional: empty texts where the file lacks them

    Raises UserError with file, line and remedy for an absent file, another encoding, missing or doubled columns, a
    quote that never closes, and all rows with another number of fields or a NUL.
    """
    mistakes = Mistakes()
    rows = _read(path, columns=columns, optional=optional, delimiter=delimiter, mistakes=mistakes)
    mistakes.refuse()
    return rows


def _read(
    path: Path, *, columns: tuple[str, ...], optional: tuple[str, ...], delimiter: str, mistakes: Mistakes
) -> list[tuple[int, dict[str, str]]]:
    try:
        with path.open(encoding="utf-8-sig", newline="") as file, _long_fields():
            lines = _Lines(csv.reader(file, strict=True, delimiter=delimiter), path.name)
            places = _places(next(lines, []), name=path.name, columns=columns, optional=optional)
            return _rows(lines, places=places, optional=optional, mistakes=mistakes)
    except FileNotFoundError:
        raise UserError(
            f"{path.name} is not in the source folder: put it where the published data set has it"
        ) from None
    except IsADirectoryError:
        raise UserError(f"{path.name} is a folder: put a CSV file in its place") from None
    except UnicodeDecodeError:
        raise UserError(f"{path.name} line {_line_of_other_encoding(path)} is not UTF-8: save it as UTF-8") from None


@contextmanager
def _long_fields() -> Generator[None]:
    """Lift the limit of 128 KiB that the csv module has for a field, and which ends the whole file."""
    before = csv.field_size_limit(_WHOLE_FILE)
    try:
        yield
    finally:
        csv.field_size_limit(before)


class _Lines:
    """The rows of a reader; a mistake in the quotes is raised with the line where its row begins."""

    def __init__(self, reader: Any, name: str) -> None:
        self._reader = reader
        self._name = name
        self.num_columns = 0

    @property
    def where(self) -> str:
        """File and line."""
        return f"{self._name} line {self.line}"

    @property
    def line(self) -> int:
        """The last line of the row read last."""
        return self._reader.line_num

    def __iter__(self) -> Iterator[list[str]]:
        return self

    def __next__(self) -> list[str]:
        begins = self._reader.line_num + 1
        try:
            row = next(self._reader)
        except csv.Error as error:
            raise UserError(
                f"{self.where}: {error}, in the row that begins in line {begins}; look at its quotes"
            ) from None
        self.num_columns = self.num_columns or len(row)
        return row


def _places(header: list[str], *, name: str, columns: tuple[str, ...], optional: tuple[str, ...]) -> dict[str, int]:
    """Return where each column is. Raises UserError with all columns that are missing or doubled."""
    found = [cell.strip() for cell in header]
    wanted = (*columns, *(column for column in optional if column in found))
    mistakes = Mistakes()
    for column in wanted:
        if found.count(column) != 1:
            mistakes.add(f"{name} line 1: column {column!r} occurs {found.count(column)} times, expected once")
    mistakes.refuse()
    return {column: found.index(column) for column in wanted}


def _rows(
    lines: _Lines, *, places: dict[str, int], optional: tuple[str, ...], mistakes: Mistakes
) -> list[tuple[int, dict[str, str]]]:
    absent = {column: "" for column in optional if column not in places}
    rows = []
    for fields in lines:
        if not any(field.strip() for field in fields):  # spreadsheets may end their exports with rows of delimiters
            continue
        if len(fields) != lines.num_columns:
            mistakes.add(
                f"{lines.where}: {len(fields)} fields, the header has {lines.num_columns}: "
                "quote fields that contain the delimiter"
            )
        elif any("\0" in field for field in fields):
            mistakes.add(f"{lines.where}: a field holds a NUL character: save the file as text, in UTF-8")
        else:
            found = {column: as_it_was(fields[place].strip()) for column, place in places.items()}
            rows.append((lines.line, absent | found))
    return rows


def _line_of_other_encoding(path: Path) -> int:
    """Return the first line that is not UTF-8; 1 where it only shows at the file's end."""
    with path.open("rb") as file:
        for number, line in enumerate(file, start=1):
            try:
                line.decode("utf8")
            except UnicodeDecodeError:
                return number
    return 1


def to_count(text: str, *, where: str, low: int = 0, high: int = MAX_COUNT) -> int:
    """Return a whole number from low to high. Raises UserError with `where` for any other text."""
    if not text.isascii() or not text.isdigit():
        raise UserError(f"{where}: expected a whole number, found {text[:20]!r}")
    digits = text.lstrip("0")
    if len(digits) > MAX_DIGITS or int(digits or "0") > high:
        raise UserError(f"{where}: expected a whole number up to {high}, found {text[:20]!r}")
    if int(digits or "0") < low:
        raise UserError(f"{where}: expected a whole number from {low} on, found {text[:20]!r}")
    return int(digits or "0")


def to_number(text: str, *, where: str, low: float = -MAX_NUMBER, high: float = MAX_NUMBER) -> float:
    """Return a number from low to high. Raises UserError with `where` for any other text."""
    number = parse_number(text)
    if math.isnan(number):
        raise UserError(f"{where}: expected a number, found {text[:20]!r}")
    if not low <= number <= high:
        raise UserError(f"{where}: expected a number from {low:g} to {high:g}, found {text[:20]!r}")
    return number


def parse_number(text: str) -> float:
    """Return a finite number written in ASCII digits; NaN for any other text."""
    number = float(text) if len(text) < 100 and _NUMBER.fullmatch(text) else math.nan
    return number if math.isfinite(number) else math.nan


def one_of(text: str, choices: tuple[str, ...], *, where: str) -> str:
    """Return the text, which must be one of the choices. Raises UserError with `where` for any other text."""
    if text not in choices:
        raise UserError(f"{where}: expected one of {[str(choice) for choice in choices]}, found {text[:20]!r}")
    return text
