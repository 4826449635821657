"""Read CSV files from elsewhere, whole: every mistake in them is named by file and line, all at once.

Encoding, separator and the capitals of the columns' names are recognised; what was recognised is logged in one line.
"""

import csv
import io
import re
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from system.errors import Mistakes, UserError
from system.files.csv_out import as_it_was
from system.files.reading import Reading
from system.files.row import Row, folded
from system.files.text_form import decode

SEPARATORS = {",": "commas", ";": "semicolons", "\t": "tabs", "|": "bars"}
_PREAMBLE = re.compile(r"sep=([,;|\t])\r?\n", re.IGNORECASE)
_WHOLE_FILE = 2**31 - 1  # characters: a field may be as long as its file; what is too long is for its column to say

T = TypeVar("T")


def read_records(
    path: Path,
    *,
    of: Callable[[Row], T],
    columns: tuple[str, ...],
    optional: tuple[str, ...] = (),
    reading: Reading | None = None,
) -> list[T]:
    """Return a record of each row of a CSV file, as `read_rows` reads it.

    of: makes a record of a row, and adds what is wrong with it to the row's mistakes
    reading: takes what is found, and is finished by the caller; None = finished here

    Rows with a mistake are left out. Raises UserError with all mistakes, of the file and of its values.
    """
    found = reading or Reading()
    table = _read(path, columns=columns, optional=optional, reading=found)
    records = []
    for line, values in table.rows:
        faults = len(found.mistakes)
        record = of(Row(path.name, line, values, found, decimal_comma=table.decimal_comma))
        if len(found.mistakes) == faults:
            records.append(record)
    if reading is None:
        found.finish(path.name)
    return records


def read_rows(
    path: Path, *, columns: tuple[str, ...], optional: tuple[str, ...] = (), numbers: tuple[str, ...] = ()
) -> list[tuple[int, dict[str, str]]]:
    """Return the rows of a CSV file, each with the number of its last line; empty rows are left out.

    The file may be in UTF-8, UTF-16, GB18030 or Latin-1, its fields separated by commas, semicolons, tabs or bars, and
    the names of its columns may have other capitals and blanks: the log names what was recognised. A quoted field may
    hold line breaks; white space around a field is removed, and so is the apostrophe that `write_csv` and spreadsheets
    put before a text that looks like a formula.

    columns: the file must have them; columns in neither list are left out
    optional: empty texts where the file lacks them
    numbers: columns in which a decimal comma becomes a point, where commas do not separate the fields

    Raises UserError with file, line and remedy for an absent file, another encoding, missing or doubled columns, a
    quote that never closes, and all rows with another number of fields or a NUL.
    """
    reading = Reading()
    table = _read(path, columns=columns, optional=optional, reading=reading)
    if table.decimal_comma:
        for line, values in table.rows:
            row = Row(path.name, line, values, reading, decimal_comma=True)
            values.update({name: row.with_point(name) for name in numbers})
    reading.finish(path.name)
    return table.rows


def header_of(path: Path) -> list[str]:
    """Return the names in the first line of a CSV file, folded as `folded` does. Raises UserError as `read_rows`."""
    text = _text_of(path, reading=Reading())
    return [folded(cell) for cell in _most_fields(text.removeprefix(_Form.of(text).preamble))]


@dataclass(frozen=True, slots=True)
class _Table:
    rows: list[tuple[int, dict[str, str]]]  # (line, row)
    decimal_comma: bool  # a number may have one


@dataclass(frozen=True, slots=True)
class _Form:
    preamble: str  # "sep=;" and its line break, which Excel writes and hides
    separator: str  # that it names; "" = none

    @classmethod
    def of(cls, text: str) -> "_Form":
        found = _PREAMBLE.match(text)
        return cls(found[0], found[1]) if found else cls("", "")


def _read(path: Path, *, columns: tuple[str, ...], optional: tuple[str, ...], reading: Reading) -> _Table:
    text = _text_of(path, reading=reading)
    form = _Form.of(text)
    body = text.removeprefix(form.preamble)
    separator = form.separator or _separator(body, wanted=(*columns, *optional))
    if separator != ",":
        reading.recognised.add(f"with {SEPARATORS.get(separator, repr(separator))} between its fields")
    with _long_fields():
        reader = csv.reader(io.StringIO(body, newline=""), strict=True, delimiter=separator)
        lines = _Lines(reader, path.name, before=1 if form.preamble else 0)
        header = next(lines, [])
        places = _places(
            header, at=f"{path.name} line {max(1, lines.line)}", columns=columns, optional=optional, reading=reading
        )
        rows = _rows(lines, places=places, optional=optional, mistakes=reading.mistakes)
    return _Table(rows, decimal_comma=separator != ",")


def _text_of(path: Path, *, reading: Reading) -> str:
    """Return the text of a file, and keep its encoding if it is not UTF-8."""
    try:
        found = decode(path.read_bytes(), name=path.name)
    except FileNotFoundError:
        raise UserError(
            f"{path.name} is not in the source folder: put it where the published data set has it"
        ) from None
    except IsADirectoryError:
        raise UserError(f"{path.name} is a folder: put a CSV file in its place") from None
    if found.encoding != "UTF-8":
        reading.recognised.add(f"as {found.encoding}")
    return found.content


def _separator(text: str, *, wanted: tuple[str, ...]) -> str:
    """Return the separator with which the first row has the most of the wanted columns; a comma where none has any."""
    names = {folded(name) for name in wanted}
    return max(SEPARATORS, key=lambda separator: len(names & set(map(folded, _first_row(text, separator)))))


def _first_row(text: str, separator: str) -> list[str]:
    """Return the first row with this separator; none where its quotes are wrong."""
    with _long_fields():
        try:
            return next(csv.reader(io.StringIO(text, newline=""), strict=True, delimiter=separator), [])
        except csv.Error:
            return []


def _most_fields(text: str) -> list[str]:
    """Return the first row with the separator that gives it the most fields."""
    return max((_first_row(text, separator) for separator in SEPARATORS), key=len)


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

    def __init__(self, reader: Any, name: str, *, before: int) -> None:
        """before: lines of the file that the reader does not see."""
        self._reader = reader
        self._name = name
        self._before = before
        self.num_columns = 0

    @property
    def where(self) -> str:
        """File and line."""
        return f"{self._name} line {self.line}"

    @property
    def line(self) -> int:
        """The last line of the row read last."""
        return self._reader.line_num + self._before

    def __iter__(self) -> Iterator[list[str]]:
        return self

    def __next__(self) -> list[str]:
        begins = self.line + 1
        try:
            row = next(self._reader)
        except csv.Error as error:
            raise UserError(
                f"{self.where}: {error}, in the row that begins in line {begins}; look at its quotes"
            ) from None
        self.num_columns = self.num_columns or len(row)
        return row


def _places(
    header: list[str], *, at: str, columns: tuple[str, ...], optional: tuple[str, ...], reading: Reading
) -> dict[str, int]:
    """Return where each column is. Raises UserError with all columns that are missing or doubled.

    A name counts as it is written; where no column has it, with other capitals and blanks.

    at: file and line
    """
    cells = [cell.strip() for cell in header]
    names = [folded(cell) for cell in cells]
    mistakes, places = Mistakes(), dict[str, int]()
    for column in (*columns, *optional):
        found, wanted = (cells, column) if column in cells else (names, folded(column))
        if found.count(wanted) == 1:
            places[column] = found.index(wanted)
            if found is names:
                reading.recognised.add("names of columns in other capitals or with blanks")
        elif found.count(wanted) or column in columns:
            mistakes.add(f"{at}: column {column!r} occurs {found.count(wanted)} times, expected once")
    if mistakes:
        mistakes.add(f"{at}: {_header_in_words(cells, num_known=len(places), wanted=columns)}")
    mistakes.refuse()
    return places


def _header_in_words(cells: list[str], *, num_known: int, wanted: tuple[str, ...]) -> str:
    """Return what the first row has. It is quoted only where it is a header: else it may be of a patient."""
    if not any(cells):
        return "the file is empty, or begins with an empty line: its first line must name the columns"
    if not num_known:
        return f"none of its {len(cells)} fields is a name that is known: put a line with {', '.join(wanted)} before it"
    return f"the columns are {', '.join(cell[:20] for cell in cells[:20])}: rename or add those that are missing"


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
