"""Write CSV files that are safe to open in a spreadsheet."""

import csv
from collections.abc import Iterable, Sequence
from pathlib import Path

from system.files.atomic import PLAIN, replacing

FORMULA = ("=", "+", "-", "@", "\t", "\r")  # a spreadsheet runs a text that begins with one of these


def write_csv(path: Path, columns: Sequence[str], rows: Iterable[Sequence[object]], *, mode: int = PLAIN) -> None:
    """Write a whole file in UTF-8; a text that a spreadsheet would run as a formula gets an apostrophe before it.

    mode: permission bits
    """
    with replacing(path, mode=mode) as partial, partial.open("w", encoding="utf8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(columns)
        writer.writerows([[_harmless(value) for value in row] for row in rows])


def _harmless(value: object) -> object:
    return f"'{value}" if isinstance(value, str) and value.startswith(FORMULA) else value
