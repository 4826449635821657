"""Turn reports into rows of the archive: ids hashed, identifying text removed, dates shifted."""

import logging
from collections import Counter
from dataclasses import asdict

import pyarrow as pa

from system.archive.delta import one_of
from system.archive.layouts import SourceReport
from system.archive.scrub import MAX_CHARACTERS, scrub, shift_of, taken_out
from system.archive.store import Archive
from system.archive.tables import SCHEMAS

log = logging.getLogger(__name__)


def readable(reports: list[SourceReport]) -> list[SourceReport]:
    """Return the reports none of whose texts has more than MAX_CHARACTERS.

    Nobody wrote a longer one: a quote is missing, or a document was pasted in. A part of it might mean something else.
    """
    return [
        report
        for report in reports
        if all(len(text) <= MAX_CHARACTERS for text in (report.description, report.impression, report.language))
    ]


def too_long(num_reports: int) -> str:
    """Return the warning for reports that `readable` has left out."""
    return (
        f"{num_reports} reports with a text of more than {MAX_CHARACTERS} characters were left out: "
        "look at the quotes of their rows, shorten them, and take them in with `mammoloop reports`"
    )


def report_rows(archive: Archive, reports: list[SourceReport], *, report_source: str) -> pa.Table:
    """Return rows of the table `reports`; of two reports with one study and version the last counts.

    Dates are shifted by a number of days that belongs to the patient, the same in all their studies. A study whose
    images are not in the archive yet has a shift of its own. One line of the log counts what was taken out.
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
    _log_taken_out(list(rows.values()))
    return pa.Table.from_pylist(list(rows.values()), schema=SCHEMAS["reports"])


def _log_taken_out(rows: list[dict]) -> None:
    """Log how much identifying text was taken out per report: a report without any, or with much, is worth a look."""
    counts = [taken_out(row["description"]) + taken_out(row["impression"]) for row in rows]
    if not counts:
        return
    kinds = ", ".join(f"{number} {kind}" for kind, number in sorted(sum(counts, Counter[str]()).items()))
    numbers = [count.total() for count in counts]
    log.info(
        "%d reports scrubbed: %s; per report %.1f, at most %d; %d reports without any",
        len(rows), kinds or "nothing taken out", sum(numbers) / len(rows), max(numbers), numbers.count(0),
    )  # fmt: skip
