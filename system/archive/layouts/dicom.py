"""A hospital's export: DICOM files with a table of reports and, where masses are known, truth.csv and masks/.

dicom/**      any file names; without this folder the files lie in the source itself
truth.csv     optional: file, mask, side, view, num_masses, split, and where known density (ACR a to d); other columns
              are ignored; a file that is not listed has no known truth
reports.csv   or reports.parquet, optional: study (StudyInstanceUID), version, status, language, description, impression
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from system.archive.layouts.layout import MAX_MASSES, SourceItem, SourceReport, density_of, inside
from system.archive.layouts.report_table import read_report_file
from system.files.csv_in import Row, read_records
from system.imaging import DicomConfig, ImageRefused, SourceImage, quoted, read_dicom, read_mask
from system.records import Side, Split, ViewPosition

TRUTH_COLUMNS = ("file", "mask", "side", "view", "num_masses", "split")
REPORT_TABLES = ("reports.csv", "reports.parquet")
NOT_IMAGES = ("truth.csv", "DICOMDIR", *REPORT_TABLES)


@dataclass(frozen=True, slots=True)
class DicomFolder:
    """DICOM files; patient, side and view stand in their headers."""

    name: str
    report_source: str

    def items(self, source: Path) -> list[SourceItem]:
        """Return every file below dicom/ with its row of truth.csv, ordered by path."""
        folder = _image_folder(source)
        truth = _read_truth(source)
        found = {
            path.relative_to(folder).as_posix() for path in folder.rglob("*") if _may_be_image(path, folder=folder)
        }
        return [truth.get(name, SourceItem(name)) for name in sorted(found | truth.keys())]

    def files(self, source: Path, item: SourceItem) -> list[Path]:
        """Return the DICOM file and the mask."""
        return [_image_folder(source) / item.name, *(source / "masks" / name for name in item.masks)]

    def read(self, source: Path, item: SourceItem, *, config: DicomConfig = DicomConfig()) -> SourceImage:
        """Return one image; refused when truth.csv and the header disagree about side or view."""
        path = inside(_image_folder(source), item.name)
        image = read_dicom(path, config=config)
        for what, listed, found in (("side", item.side, image.side), ("view", item.view, image.view)):
            if listed and listed != found:
                said = quoted(listed, known=(*Side, *ViewPosition))
                raise ImageRefused("view", f"the {what} is {said} in truth.csv, {found.value!r} in the header")
        return image

    def mask(self, source: Path, item: SourceItem, image: SourceImage) -> np.ndarray:
        """Return the listed mask, or an empty one where truth.csv lists no mass."""
        if not item.masks:
            return np.zeros(image.pixels.shape, bool)
        mask = read_mask(inside(source / "masks", item.masks[0]))
        if not mask.any():
            raise ImageRefused("mask_empty", "the mask of an image with a mass is empty")
        return mask

    def reports(self, source: Path, *, sides: dict[str, Side]) -> list[SourceReport]:
        """Return the rows of reports.csv and of reports.parquet; none when both are absent."""
        return [
            report for name in REPORT_TABLES if (source / name).exists() for report in read_report_file(source / name)
        ]


def _image_folder(source: Path) -> Path:
    return source / "dicom" if (source / "dicom").is_dir() else source


def _may_be_image(path: Path, *, folder: Path) -> bool:
    parts = path.relative_to(folder).parts
    hidden = any(part.startswith(".") for part in parts)
    beside = parts[0] == "masks" or path.name in NOT_IMAGES
    return path.is_file() and not hidden and not beside


def _read_truth(source: Path) -> dict[str, SourceItem]:
    """Return the items of truth.csv by file; none when it is absent."""
    path = source / "truth.csv"
    if not path.exists():
        return {}
    listed: set[str] = set()
    items = read_records(
        path, of=lambda row: _truth_item(row, listed=listed), columns=TRUTH_COLUMNS, optional=("density",)
    )
    return {item.name: item for item in items}


def _truth_item(row: Row, *, listed: set[str]) -> SourceItem:
    """Return one image. listed: the files of the rows before."""
    num_masses = row.count("num_masses", high=MAX_MASSES)
    if row["mask"] and set(row["num_masses"]) == {"0"}:
        row.wrong("a mask is named but num_masses is 0: correct one of them")
    row.given("file", remedy="give the path of the image, as it lies below dicom/")
    if row["file"] in listed:
        row.wrong("a file is listed twice: keep one row")
    listed.add(row["file"])
    return SourceItem(
        name=row.path("file"),
        has_truth=bool(row["mask"]) or num_masses == 0,
        num_masses=num_masses,
        masks=(row.path("mask"),) if row["mask"] else (),
        side=row["side"],
        view=row["view"],
        density=density_of(row["density"]),
        split=row.one_of("split", ("", *Split)),
    )
