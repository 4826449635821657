"""Synthetic four-view exams with known masses, and their reports: real DICOM files come out.

config (how hard, how many, how large) · findings (what is in a breast) · anatomy (outline, tissue) · lesions (masses and what
resembles them) · scene (which lesion lies where) · exam (one woman) · dicom (her files) · archive (folders and tables) ·
reports with phrases_zh and phrases_en (the text a reader would dictate). Imports `system.records` and `system.settings` only.
"""

from system.phantom.archive import ExamRows, write_exam, write_phantom, write_tables
from system.phantom.config import PhantomConfig
from system.phantom.exam import Exam, PhantomView, make_exam
from system.phantom.findings import BreastFinding, MassFinding, MassShape, Region
from system.phantom.reports import Report, mistaken_findings, write_report, write_sideless

__all__ = [
    "BreastFinding",
    "Exam",
    "ExamRows",
    "MassFinding",
    "MassShape",
    "PhantomConfig",
    "PhantomView",
    "Region",
    "Report",
    "make_exam",
    "mistaken_findings",
    "write_exam",
    "write_phantom",
    "write_report",
    "write_sideless",
    "write_tables",
]
