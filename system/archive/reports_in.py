"""Reports on their way into the archive: read from a table, ids hashed, scrubbed of who they are about."""

from dataclasses import asdict
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from system.archive.delta import one_of
from system.archive.layouts import SourceReport
from system.archive.layouts.dicom import REPORT_COLUMNS, report_of_row
from system.archive.layouts.tables_in import read_rows
from system.archive.scrub import scrub, shift_of
from system.archive.store import Archive
from system.archive.tables import SCHEMAS


def read_report_file(path: Path) -> list[SourceReport]:
    """Return the reports of a .csv or .parquet file with columns study, version, status, language, description, impression.

    study: StudyInstanceUID;  version: whole number, counting up with each correction;  status: final, corrected, withdrawn
    Raises ValueError naming the line, or the row of a Parquet file, and what is wrong with it.
    """
    if path.suffix == ".parquet":
        rows = _parquet_rows(path)
    elif path.suffix == ".csv":
        rows = [(f"line {line}", row) for line, row in read_rows(path, columns=REPORT_COLUMNS)]
    else:
        raise ValueError(f"{path.name}: reports are read from .csv or .parquet; save them as one of these")
    return [report_of_row(row, where=f"{path.name} {where}") for where, row in rows]


def report_rows(archive: Archive, reports: list[SourceReport], *, report_source: str) -> pa.Table:
    """Return rows of the table `reports`; of one version told twice the last counts.

    Dates move by the patient's own shift, the same in all her studies; a study whose images are not there yet has one of its own.
    """
    study_ids = {report.study: archive.identifier("study", report.study) for report in reports}
    seen = archive.table("images", columns=["study_id", "patient_id"], where=one_of("study_id", study_ids.values()))
    patients = dict(zip(seen["study_id"].to_pylist(), seen["patient_id"].to_pylist(), strict=True))
    rows = {}
    for report in reports:
        study_id = study_ids[report.study]
        shift_days = shift_of(archive.identifier("shift", patients.get(study_id, study_id)))
        texts = {name: scrub(getattr(report, name), shift_days=shift_days) for name in ("description", "impression")}
        row = asdict(report) | texts | {"study_id": study_id, "source": report_source}
        rows[study_id, report.version] = {name: row[name] for name in SCHEMAS["reports"].names}
    return pa.Table.from_pylist(list(rows.values()), schema=SCHEMAS["reports"])


def _parquet_rows(path: Path) -> list[tuple[str, dict[str, str]]]:
    try:
        table = pq.read_table(path)
    except pa.ArrowInvalid as error:
        raise ValueError(f"{path.name} is no Parquet file that can be read: write it again ({error})") from None
    if missing := [name for name in REPORT_COLUMNS if table.column_names.count(name) != 1]:
        raise ValueError(f"{path.name}: column {missing[0]!r} occurs {table.column_names.count(missing[0])} times, expected once")
    rows = table.select(list(REPORT_COLUMNS)).to_pylist()
    return [
        (f"row {number}", {name: "" if value is None else str(value) for name, value in row.items()}) for number, row in enumerate(rows, 1)
    ]
