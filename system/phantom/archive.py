"""Write exams as the folder that a hospital would deliver: dicom/, masks/, reports.csv, truth.csv."""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from system.files.csv_out import write_csv
from system.phantom.config import PhantomConfig
from system.phantom.dicom import patient_id, study_uid, write_dicom
from system.phantom.exam import Exam, make_exam

Row = dict[str, str]
TRUTH_COLUMNS = ("file", "mask", "patient", "study", "side", "view", "density", "num_masses", "split")
REPORT_COLUMNS = ("study", "version", "status", "language", "description", "impression")


@dataclass(frozen=True, slots=True)
class ExamRows:
    """The rows that one exam adds to the tables."""

    index: int
    truth: tuple[Row, ...]  # TRUTH_COLUMNS, one row per image
    reports: tuple[Row, ...]  # REPORT_COLUMNS


def write_phantom(out: Path, *, num_exams: int, seed: int, config: PhantomConfig, first_exam: int = 0) -> None:
    """Write exams first_exam to first_exam + num_exams - 1, and tables of these exams only."""
    exams = (make_exam(index, seed, config) for index in range(first_exam, first_exam + num_exams))
    write_tables(out, [write_exam(out, exam) for exam in exams])


def write_exam(out: Path, exam: Exam) -> ExamRows:
    """Write one exam's files below dicom/ and masks/; return its rows. May run for several exams at once."""
    folder = out / "dicom" / f"{exam.index:06d}"
    folder.mkdir(parents=True, exist_ok=True)
    (out / "masks").mkdir(exist_ok=True)
    truth = []
    for view in exam.views:
        stem = f"{exam.index:06d}_{view.side}_{view.view}"
        write_dicom(folder / f"{stem}.dcm", exam, view)
        mask = f"{stem}.png" if view.num_masses else ""
        if mask:
            Image.fromarray(view.mask.astype(np.uint8) * 255).save(out / "masks" / mask)
        truth.append(
            {
                "file": f"{folder.name}/{stem}.dcm",
                "mask": mask,
                "patient": patient_id(exam),
                "study": study_uid(exam),
                "side": str(view.side),
                "view": str(view.view),
                "density": exam.truth[view.side].density,
                "num_masses": str(view.num_masses),
                "split": "",
            }
        )
    return ExamRows(exam.index, tuple(truth), (_report_row(exam),))


def write_tables(out: Path, rows: Iterable[ExamRows]) -> None:
    """Write truth.csv and reports.csv, ordered by exam whatever the order of `rows`."""
    ordered = sorted(rows, key=lambda row: row.index)
    _write_rows(out / "truth.csv", TRUTH_COLUMNS, [row for exam in ordered for row in exam.truth])
    _write_rows(out / "reports.csv", REPORT_COLUMNS, [row for exam in ordered for row in exam.reports])


def _report_row(exam: Exam) -> Row:
    report = exam.report
    return {
        "study": study_uid(exam),
        "version": "1",
        "status": "final",
        "language": report.language,
        "description": report.description,
        "impression": report.impression,
    }


def _write_rows(path: Path, columns: tuple[str, ...], rows: list[Row]) -> None:
    write_csv(path, columns, [[row[column] for column in columns] for row in rows])
