"""Read CSV files from elsewhere; each error names the file and the line."""

import csv
import math
from pathlib import Path

from system.errors import UserError

MAX_COUNT = 2**31 - 1  # tables keep counts in 32 bits
MAX_DIGITS = 20  # beyond them a text is not even converted


def read_rows(
    path: Path, *, columns: tuple[str, ...], optional: tuple[str, ...] = (), delimiter: str = ","
) -> list[tuple[int, dict[str, str]]]:
    """Return the rows of a UTF-8 CSV file, each with the number of its last line; empty rows are left out.

    A quoted field may hold line breaks; white space around a field is removed.

    columns: the file must have them; columns in neither list are left out
    optional: empty texts where the file lacks them

    Raises UserError with file, line and remedy for an absent file, another encoding, a missing or doubled column, a
    row with another number of fields, a field over 128 KiB.
    """
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            return _rows(
                csv.reader(file, strict=True, delimiter=delimiter), name=path.name, columns=columns, optional=optional
            )
    except FileNotFoundError:
        raise UserError(
            f"{path.name} is not in the source folder: put it where the published data set has it"
        ) from None
    except UnicodeDecodeError as error:
        raise UserError(f"{path.name} is not UTF-8 (byte {error.start}): save it as UTF-8") from None


def _rows(
    reader, *, name: str, columns: tuple[str, ...], optional: tuple[str, ...]
) -> list[tuple[int, dict[str, str]]]:
    try:
        return _checked(reader, name=name, columns=columns, optional=optional)
    except csv.Error as error:
        raise UserError(f"{name} line {reader.line_num}: {error}; look at its quotes") from None


def _checked(
    reader, *, name: str, columns: tuple[str, ...], optional: tuple[str, ...]
) -> list[tuple[int, dict[str, str]]]:
    header = next(reader, [])
    there = tuple(column for column in optional if column in header)
    if wrong := [column for column in (*columns, *there) if header.count(column) != 1]:
        raise UserError(f"{name} line 1: column {wrong[0]!r} occurs {header.count(wrong[0])} times, expected once")
    places = {column: header.index(column) for column in (*columns, *there)}
    absent = {column: "" for column in optional if column not in there}
    rows = []
    for fields in reader:
        if not any(field.strip() for field in fields):  # spreadsheets may end their exports with rows of delimiters
            continue
        if len(fields) != len(header):
            raise UserError(
                f"{name} line {reader.line_num}: {len(fields)} fields, the header has {len(header)}: "
                "quote fields that contain the delimiter"
            )
        found = {column: fields[place].strip() for column, place in places.items()}
        rows.append((reader.line_num, absent | found))
    return rows


def to_count(text: str, *, where: str) -> int:
    """Return a whole number of at least 0. Raises UserError with `where` for any other text."""
    if not text.isascii() or not text.isdigit():
        raise UserError(f"{where}: expected a whole number, found {text[:20]!r}")
    digits = text.lstrip("0")
    if len(digits) > MAX_DIGITS or int(digits or "0") > MAX_COUNT:
        raise UserError(f"{where}: expected a whole number up to {MAX_COUNT}, found {text[:20]!r}")
    return int(digits or "0")


def to_number(text: str, *, where: str) -> float:
    """Return a finite number. Raises UserError with `where` for any other text."""
    try:
        number = float(text)
    except ValueError:
        number = math.nan
    if not math.isfinite(number):
        raise UserError(f"{where}: expected a number, found {text[:20]!r}")
    return number


def one_of(text: str, choices: tuple[str, ...], *, where: str) -> str:
    """Return the text, which must be one of the choices. Raises UserError with `where` for any other text."""
    if text not in choices:
        raise UserError(f"{where}: expected one of {[str(choice) for choice in choices]}, found {text[:20]!r}")
    return text
