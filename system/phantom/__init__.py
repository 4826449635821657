"""Synthetic four-view exams with known masses and their reports, written as real DICOM files.

config.py      difficulty, size and variety of the exams
truth.py       the content of a breast
anatomy.py     outline and tissue
lesions.py     masses and structures that resemble them
marker.py      the side marker in the air
scene.py       the place of each lesion
exam.py        one patient's exam
dicom.py       the files of an exam
archive.py     folders and tables
reports.py     the text that a radiologist would dictate
phrases.py     the table of phrases; phrases_en.py and phrases_zh.py fill it
"""

from typing import TYPE_CHECKING

from system.lazy import exported_by

if TYPE_CHECKING:
    from system.phantom.archive import ExamRows, write_exam, write_phantom, write_tables
    from system.phantom.config import PhantomConfig
    from system.phantom.exam import Exam, PhantomView, make_exam
    from system.phantom.reports import Report, mistaken_truth, write_report, write_sideless
    from system.phantom.truth import BreastTruth, MassShape, MassTruth, Region

__all__ = [
    "BreastTruth",
    "Exam",
    "ExamRows",
    "MassShape",
    "MassTruth",
    "PhantomConfig",
    "PhantomView",
    "Region",
    "Report",
    "make_exam",
    "mistaken_truth",
    "write_exam",
    "write_phantom",
    "write_report",
    "write_sideless",
    "write_tables",
]

__getattr__ = exported_by(__name__, "config", "truth", "reports", "exam", "archive")
