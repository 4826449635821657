"""A table of reports, reports.csv or reports.parquet, as hospitals export it and as the phantom writes it."""

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from system.archive.layouts.layout import SourceReport
from system.errors import Mistakes, UserError
from system.files.csv_in import Row, read_records

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

    Raises UserError with every wrong line, or row of a Parquet file, and what is wrong with it.
    """
    if path.suffix == ".parquet":
        return _from_parquet(path)
    if path.suffix == ".csv":
        return read_records(path, of=_report, columns=COLUMNS)
    raise UserError(f"{path.name}: reports are read from .csv or .parquet; save them as one of these")


def _from_parquet(path: Path) -> list[SourceReport]:
    try:
        with path.open("rb") as file:  # Arrow opens no path that is not UTF-8
            table = pq.read_table(file)
    except (pa.ArrowException, OSError) as error:
        if isinstance(error, OSError) and error.errno is not None:  # of the storage; a damaged file has no number
            raise
        raise UserError(f"{path.name} is no Parquet file that can be read: write it again ({error})") from None
    if missing := [name for name in COLUMNS if table.column_names.count(name) != 1]:
        raise UserError(
            f"{path.name}: column {missing[0]!r} occurs {table.column_names.count(missing[0])} times, expected once"
        )
    mistakes = Mistakes()
    reports = [
        _report(Row(path.name, number, _texts(row), mistakes, unit="row"))
        for number, row in enumerate(table.select(list(COLUMNS)).to_pylist(), start=1)
    ]
    mistakes.refuse()
    return reports


def _texts(row: dict[str, object]) -> dict[str, str]:
    return {name: "" if value is None else str(value) for name, value in row.items()}


def _report(row: Row) -> SourceReport:
    return SourceReport(
        study=row.given("study", remedy="give the StudyInstanceUID"),
        version=row.count("version"),
        status=row.one_of("status", STATUSES),
        language=row["language"],
        description=row["description"],
        impression=row["impression"],
    )
