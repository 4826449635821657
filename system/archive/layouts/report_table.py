"""A table of reports, reports.csv or reports.parquet, as hospitals export it and as the phantom writes it."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from system.archive.layouts.layout import SourceReport
from system.errors import UserError
from system.files.csv_in import read_records
from system.files.reading import Reading
from system.files.row import Row, folded

COLUMNS = ("study", "version", "status", "language", "description", "impression")
STATUSES = ("final", "corrected", "withdrawn")
LANGUAGES = ("en", "pt", "zh", "mixed")  # that scrubbing and keyword rules are made for
_LANGUAGE_WORDS = {
    **dict.fromkeys(("english", "eng", "inglês", "ingles", "英文", "英语"), "en"),
    **dict.fromkeys(("portuguese", "por", "português", "portugues"), "pt"),
    **dict.fromkeys(("chinese", "mandarin", "zho", "chi", "cn", "中文", "汉语"), "zh"),
}
_REGION = re.compile(r"([a-z]{2,3})(?:[- ][a-z0-9]{2,8})+")  # zh-Hans-CN (BCP 47), folded
_CODE = re.compile(r"[a-z]{2,3}")  # ISO 639
_UID = re.compile(r"[0-9.]{1,64}")  # UI of PS3.5 6.2
_ROUNDED = re.compile(r"[0-9]+(?:[.,][0-9]+)?e[+-]?[0-9]+", re.IGNORECASE)  # what a spreadsheet makes of a long number


def read_report_file(path: Path, *, reading: Reading | None = None) -> list[SourceReport]:
    """Return the reports of a .csv or .parquet file.

    Its columns:
    study: StudyInstanceUID
    version: whole number, one more with each correction
    status: final, corrected, withdrawn
    language: zh, en, …
    description: text
    impression: text

    reading: takes what is found, and is finished by the caller; None = finished here

    Raises UserError with every wrong line, or row of a Parquet file, and what is wrong with it.
    """
    if path.suffix not in {".csv", ".parquet"}:
        raise UserError(f"{path.name}: reports are read from .csv or .parquet; save them as one of these")
    found, table = reading or Reading(), _Table()
    if path.suffix == ".parquet":
        rows = [Row(path.name, number, row, found, unit="row") for number, row in enumerate(_from_parquet(path), 1)]
        reports = [table.report(row) for row in rows]
    else:
        reports = read_records(path, of=table.report, columns=COLUMNS, reading=found)
    if reading is None:
        found.finish(path.name)
    return reports


def check_same_texts(tables: Mapping[str, Sequence[SourceReport]]) -> None:
    """Raise UserError where two tables have different reports for one study and version. tables: by file name."""
    first: dict[tuple[str, int], SourceReport] = {}
    differing = sum(
        first.setdefault((report.study, report.version), report) != report
        for reports in tables.values()
        for report in reports
    )
    if differing:
        raise UserError(
            f"{' and '.join(tables)} have different reports for the same study and version, {differing} times: "
            "remove one of the tables, or give corrections the next version"
        )


def _from_parquet(path: Path) -> list[dict[str, str]]:
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
    return [_texts(row) for row in table.select(list(COLUMNS)).to_pylist()]


def _texts(row: dict[str, object]) -> dict[str, str]:
    return {name: "" if value is None else str(value) for name, value in row.items()}


@dataclass(frozen=True, slots=True)
class _Table:
    """The rows of one table so far."""

    first: dict[tuple[str, int], tuple[SourceReport, str]] = field(default_factory=dict)  # study, version -> and where

    def report(self, row: Row) -> SourceReport:
        """Return the report of a row; a second one for its study and version must be the same."""
        faults = len(row.mistakes)
        found = _report(row)
        if len(row.mistakes) > faults:
            return found
        same, where = self.first.setdefault((found.study, found.version), (found, f"{row.unit} {row.line}"))
        if where == f"{row.unit} {row.line}":
            return found
        if same == found:
            row.odd("the row is there twice, word for word")
        else:
            row.wrong(
                f"another report than in {where} for the same study and version: keep one of them, or give the "
                "correction the next version"
            )
        return found


def _report(row: Row) -> SourceReport:
    report = SourceReport(
        study=_study(row),
        version=row.count("version"),
        status=row.one_of("status", STATUSES),
        language=_language(row),
        description=row["description"],
        impression=row["impression"],
    )
    if report.status != "withdrawn" and not report.description and not report.impression:
        row.odd("the report has no text")
    return report


def _study(row: Row) -> str:
    """Return the StudyInstanceUID, which no message quotes."""
    study = row.given("study", remedy="give the StudyInstanceUID")
    if _ROUNDED.fullmatch(study):
        row.wrong("a spreadsheet has rounded the UID to a number: export the column as text", column="study")
    elif study and not _UID.fullmatch(study):
        row.odd("the study is no DICOM UID (digits and points): it will match no DICOM image")
    return study


def _language(row: Row) -> str:
    """Return the code of a language, without its region."""
    text = folded(row["language"])
    if not text:
        return ""
    region = _REGION.fullmatch(text)
    code = _LANGUAGE_WORDS.get(text) or (region[1] if region else text)
    code = _LANGUAGE_WORDS.get(code, code)
    if code not in LANGUAGES and not _CODE.fullmatch(code):
        row.wrong(
            f"expected the code of a language ({', '.join(LANGUAGES)}), found {row['language'][:20]!r}",
            column="language",
        )
        return ""
    if code not in LANGUAGES:
        row.odd(f"the language is {code!r}: scrubbing and keyword rules are made for {', '.join(LANGUAGES[:-1])}")
    if code != row["language"]:
        row.recognised("language: in other words or capitals, or with a region")
    return code
