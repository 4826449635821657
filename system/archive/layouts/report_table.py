"""A table of reports, reports.csv or reports.parquet, as hospitals export it and as the phantom writes it."""

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from system.archive.layouts.layout import SourceReport
from system.errors import UserError
from system.files.csv_in import one_of, read_rows, to_count

COLUMNS = ("study", "version", "status", "language", "description", "impression")
STATUSES = ("final", "corrected", "withdrawn")


def read_report_file(path: Path) -> list[SourceReport]:
    """Return the reports of a .csv or .parquet file.

    Its columns:
    study: StudyInstanceUID
    version: whole number, one more with each correction
    status: final, corrected, withdrawn
    language: zh, en, …
    description: text
    impression: text

    Raises UserError with the line, or the row of a Parquet file, and what is wrong with it.
    """
    if path.suffix == ".parquet":
        rows = _parquet_rows(path)
    elif path.suffix == ".csv":
        rows = [(f"line {line}", row) for line, row in read_rows(path, columns=COLUMNS)]
    else:
        raise UserError(f"{path.name}: reports are read from .csv or .parquet; save them as one of these")
    return [_report(row, where=f"{path.name} {where}") for where, row in rows]


def _parquet_rows(path: Path) -> list[tuple[str, dict[str, str]]]:
    try:
        table = pq.read_table(path)
    except pa.ArrowInvalid as error:
        raise UserError(f"{path.name} is no Parquet file that can be read: write it again ({error})") from None
    if missing := [name for name in COLUMNS if table.column_names.count(name) != 1]:
        raise UserError(
            f"{path.name}: column {missing[0]!r} occurs {table.column_names.count(missing[0])} times, expected once"
        )
    rows = table.select(list(COLUMNS)).to_pylist()
    return [
        (f"row {number}", {name: "" if value is None else str(value) for name, value in row.items()})
        for number, row in enumerate(rows, 1)
    ]


def _report(row: dict[str, str], *, where: str) -> SourceReport:
    if not row["study"]:
        raise UserError(f"{where}: study is empty: give the StudyInstanceUID")
    return SourceReport(
        study=row["study"],
        version=to_count(row["version"], where=f"{where}, version"),
        status=one_of(row["status"], STATUSES, where=f"{where}, status"),
        language=row["language"],
        description=row["description"],
        impression=row["impression"],
    )
