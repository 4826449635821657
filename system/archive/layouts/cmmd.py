"""CMMD (The Chinese Mammography Database) as TCIA's downloader writes it: DICOM files and one table of breasts.

CMMD_clinicaldata_revision.csv   one row per breast: ID1, LeftRight, Age, number, abnormality, classification, subtype;
                                 published as .xlsx, to be saved as CSV; delimited by , or ;
[manifest-*/]CMMD/D1-0001/<study>/<series>/1-1.dcm

What the table does not make plain:
* It contains nothing about single files: the patient and the breast of a file stand in its header only, so listing
  reads every header.
* View Position is empty in all headers; the view stands in the View Code Sequence.
* Abnormality mass or both: there is a mass in the breast, and nobody has outlined it, so its images are positive
  without truth.
* Abnormality calcification: the table gives no mass for the breast (0), yet there is no truth either. The table gives
  the proven lesion; it does not state that a radiologist looked for other masses. Besides, no mass of the set is
  outlined, so all CMMD images with truth would be without a mass: in training and in held-out data, a network could
  recognise the X-ray machine instead of a mass.
* A breast without a row: nothing is known.
"""

import re
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from system.archive.layouts.layout import SourceItem, SourceReport
from system.errors import UserError
from system.faults import raise_fault
from system.files.csv_in import read_records
from system.files.row import Row
from system.imaging import DicomConfig, ImageRefused, SourceImage, read_dicom
from system.imaging.dicom_file import careful_reading, parse_header, text_of
from system.records import Side

TABLE = "CMMD_clinicaldata_revision.csv"
SPREADSHEET = "CMMD_clinicaldata_revision.xlsx"
COLUMNS = ("ID1", "LeftRight", "abnormality")
NUM_MASSES = {"mass": 1, "both": 1, "calcification": 0}
PATIENT_ID = re.compile(r"D[12]-[0-9]{4}")

Breast = tuple[str, str]
"""Patient ID, L or R."""


@dataclass(frozen=True, slots=True)
class Cmmd:
    """The images; of their masses it is only known which breasts have one."""

    name: str = "cmmd"
    report_source: str = "none"

    def items(self, source: Path) -> list[SourceItem]:
        """Return every file of the downloads, ordered by path, then the breasts of the table that have no file."""
        num_masses = _num_masses(source)
        breasts = {path.relative_to(source).as_posix(): _breast_in(path) for path in sorted(source.rglob("*.dcm"))}
        absent = sorted(num_masses.keys() - set(breasts.values()))
        breasts |= {f"CMMD/{patient}/{side}": (patient, side) for patient, side in absent}
        return [SourceItem(name, num_masses=num_masses.get(breast, 0)) for name, breast in breasts.items()]

    def files(self, source: Path, item: SourceItem) -> list[Path]:
        """Return the DICOM file."""
        return [source / item.name]

    def read(self, source: Path, item: SourceItem, *, config: DicomConfig = DicomConfig()) -> SourceImage:
        """Return one image."""
        path = source / item.name
        if not path.is_file():
            raise ImageRefused("not_found", "no image of a listed breast is in the source")
        image = read_dicom(path, config=config)
        return replace(image, patient=f"CMMD {image.patient}" if image.patient else "")

    def mask(self, source: Path, item: SourceItem, image: SourceImage) -> np.ndarray:
        """Return an empty mask."""
        return np.zeros(image.pixels.shape, bool)

    def reports(self, source: Path, *, sides: dict[str, Side]) -> list[SourceReport]:
        """Return nothing."""
        return []


def _num_masses(source: Path) -> dict[Breast, int]:
    """Return the number of masses of each breast in the table: 0 or 1."""
    path = source / TABLE
    if not path.exists() and (source / SPREADSHEET).exists():
        raise UserError(
            f"{SPREADSHEET} is not read: open it in a spreadsheet program and save it beside as {TABLE} (CSV, UTF-8)"
        )
    found: dict[Breast, int] = {}

    def keep(row: Row) -> None:
        if not PATIENT_ID.fullmatch(row["ID1"]):
            row.wrong("expected D1-0000 or D2-0000 with other digits: correct the row", column="ID1")
        breast = row["ID1"], row.one_of("LeftRight", tuple(Side))
        if breast in found:
            row.wrong("a breast is listed twice: keep one row")
        found[breast] = NUM_MASSES[row.one_of("abnormality", tuple(NUM_MASSES))]

    read_records(path, of=keep, columns=COLUMNS)
    return found


def _breast_in(path: Path) -> Breast:
    """Return the patient and the breast in a file's header.

    Both are "" where the header cannot be read: `read` refuses such a file later, which costs one row.
    """
    limits = DicomConfig()
    try:
        with path.open("rb") as file, careful_reading():
            header = parse_header(
                file, max_file_bytes=limits.max_file_bytes, max_inflated_bytes=limits.max_inflated_bytes
            ).header
            return text_of(header, "PatientID"), text_of(header, "ImageLaterality")
    except (ImageRefused, OSError) as error:
        raise_fault(error)
        return "", ""
