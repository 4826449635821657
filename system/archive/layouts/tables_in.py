"""Read CSV files that others wrote: what is wrong in them is said with its line."""

import csv
import math
from pathlib import Path


def read_rows(
    path: Path, *, columns: tuple[str, ...], optional: tuple[str, ...] = (), delimiter: str = ","
) -> list[tuple[int, dict[str, str]]]:
    """Return (number of its last line, row) of a UTF-8 CSV file with at least these columns; other columns and empty rows are left out.

    optional: columns that are empty where the file lacks them. A quoted field may hold line breaks; white space around a field is taken
    off. Raises ValueError naming file, line and remedy for an absent file, another encoding, a missing or doubled column, a ragged row, a
    field over 128 KiB.
    """
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            return _rows(csv.reader(file, strict=True, delimiter=delimiter), name=path.name, columns=columns, optional=optional)
    except FileNotFoundError:
        raise ValueError(f"{path.name} is not in the source folder: put it where the published data set has it") from None
    except UnicodeDecodeError as error:
        raise ValueError(f"{path.name} is not UTF-8 (byte {error.start}): save it as UTF-8") from None


def _rows(reader, *, name: str, columns: tuple[str, ...], optional: tuple[str, ...]) -> list[tuple[int, dict[str, str]]]:
    header = next(reader, [])
    there = tuple(column for column in optional if column in header)
    if wrong := [column for column in (*columns, *there) if header.count(column) != 1]:
        raise ValueError(f"{name} line 1: column {wrong[0]!r} occurs {header.count(wrong[0])} times, expected once")
    places = {column: header.index(column) for column in (*columns, *there)}
    absent = {column: "" for column in optional if column not in there}
    rows = []
    try:
        for fields in reader:
            written = any(field.strip() for field in fields)  # spreadsheets end their exports with rows of nothing but delimiters
            if written and len(fields) != len(header):
                raise ValueError(
                    f"{name} line {reader.line_num}: {len(fields)} fields, the header has {len(header)}: quote fields with delimiters"
                )
            if written:
                rows.append((reader.line_num, absent | {column: fields[place].strip() for column, place in places.items()}))
    except csv.Error as error:
        raise ValueError(f"{name} line {reader.line_num}: {error}") from None
    return rows


def to_count(text: str, *, where: str) -> int:
    """Return a whole number of at least 0. Raises ValueError naming where it stands."""
    if not text.isascii() or not text.isdigit():
        raise ValueError(f"{where}: expected a whole number, found {text[:20]!r}")
    return int(text)


def to_number(text: str, *, where: str) -> float:
    """Return a finite number. Raises ValueError naming where it stands."""
    try:
        number = float(text)
    except ValueError:
        number = math.nan
    if not math.isfinite(number):
        raise ValueError(f"{where}: expected a number, found {text[:20]!r}")
    return number


def one_of(text: str, choices: tuple[str, ...], *, where: str) -> str:
    """Return a text that must be one of the choices. Raises ValueError naming where it stands."""
    if text not in choices:
        raise ValueError(f"{where}: expected one of {[str(choice) for choice in choices]}, found {text[:20]!r}")
    return text
