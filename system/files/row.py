"""A row of a table from elsewhere: its cells as values, each wrong one a mistake with its line."""

import math
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

from system.errors import Mistakes, UserError
from system.files.reading import Reading

MAX_COUNT = 2**31 - 1  # tables keep counts in 32 bits
MAX_DIGITS = 20  # beyond them a text is not even converted
MAX_NUMBER = 1e12  # no length, place or score of a table is near it
MAX_NAME_BYTES = 255  # of one part of a path, on the file systems in use
MAX_PATH_BYTES = 4096
_NUMBER = re.compile(r"[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]{1,3})?")
_WHOLE = re.compile(r"([0-9]+)\.00?")  # programs that keep a column as numbers write 1 so; 1.000 may be a thousand
_DECIMAL_COMMA = re.compile(r"[+-]?[0-9]*,[0-9]+(?:[eE][+-]?[0-9]{1,3})?")
_THOUSANDS = re.compile(r"[+-]?[1-9][0-9]{0,2},[0-9]{3}")  # 1,234 is 1.234 to some and 1234 to others

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Row:
    """A row of a table; a value that is wrong is added to the mistakes, and a harmless one returned in its place."""

    file: str
    line: int  # or row, where the file has no lines
    values: dict[str, str]
    reading: Reading  # takes what is found
    unit: str = "line"
    decimal_comma: bool = False  # a number may have one: commas do not separate the fields

    @property
    def mistakes(self) -> Mistakes:
        """The mistakes of the file so far."""
        return self.reading.mistakes

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

    def recognised(self, what: str) -> None:
        """Keep that a value was written in another way than asked for, and taken."""
        self.reading.recognised.add(what, at=f"{self.unit} {self.line}")

    def odd(self, what: str) -> None:
        """Keep that a value was taken as it is, but is worth a look."""
        self.reading.odd.add(what, at=f"{self.unit} {self.line}")

    def count(self, column: str, *, low: int = 0, high: int = MAX_COUNT) -> int:
        """Return a whole number from low to high; 1.0 is one too, and 1,0 where commas do not separate the fields."""
        text = self.with_point(column)
        if whole := _WHOLE.fullmatch(text):
            self.recognised(f"{column}: whole numbers written with .0")
            text = whole[1]
        return self._checked(lambda where: to_count(text, where=where, low=low, high=high), column, other=low)

    def number(self, column: str, *, low: float = -MAX_NUMBER, high: float = MAX_NUMBER) -> float:
        """Return a number from low to high; with a decimal comma only where commas do not separate the fields."""
        text = self.with_point(column)
        return self._checked(lambda where: to_number(text, where=where, low=low, high=high), column, other=low)

    def with_point(self, column: str) -> str:
        """Return the text of a number with a point for its decimal comma, where it may have one.

        A text such as 1,234 stays: it may be a thousand.
        """
        text = self[column]
        if not self.decimal_comma or not _DECIMAL_COMMA.fullmatch(text) or _THOUSANDS.fullmatch(text):
            return text
        self.recognised(f"{column}: numbers with a decimal comma")
        return text.replace(",", ".")

    def one_of(self, column: str, choices: Sequence[str], *, also: Mapping[str, str] | None = None) -> str:
        """Return one of the choices, also for a text with other capitals, blanks or underscores.

        also: other words, folded -> the choice that they stand for
        """
        if (text := self[column]) in choices:
            return text
        meant = {folded(choice): choice for choice in choices} | dict(also or {})
        if folded(text) in meant:
            self.recognised(f"{column}: in other words or capitals than {', '.join(filter(None, choices))}")
            return meant[folded(text)]
        return self._checked(lambda where: one_of(text, tuple(choices), where=where), column, other=choices[0])

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


def folded(text: str) -> str:
    """Return a name or a choice without what people write in several ways: capitals, blanks and underscores."""
    return " ".join(text.replace("_", " ").split()).casefold()


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
