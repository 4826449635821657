"""A hospital's export: DICOM files with a table of reports and, where masses are known, truth.csv and masks/.

dicom/**      any file names; without this folder the files lie in the source itself
truth.csv     optional: file, mask, side, view, num_masses, split, and where known density (ACR a to d); other columns
              are ignored; a file that is not listed has no known truth
reports.csv   or reports.parquet, optional: study (StudyInstanceUID), version, status, language, description, impression
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from system.archive.layouts.layout import MAX_MASSES, SIDE_WORDS, SourceItem, SourceReport, density_of, inside
from system.archive.layouts.report_table import check_same_texts, read_report_file
from system.files.csv_in import read_records
from system.files.reading import Reading
from system.files.row import Row, folded
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
        folder = image_folder(source)
        truth = _read_truth(source)
        found = {
            path.relative_to(folder).as_posix() for path in folder.rglob("*") if _may_be_image(path, folder=folder)
        }
        return [truth.get(name, SourceItem(name)) for name in sorted(found | truth.keys())]

    def files(self, source: Path, item: SourceItem) -> list[Path]:
        """Return the DICOM file and the mask."""
        return [image_folder(source) / item.name, *(source / "masks" / name for name in item.masks)]

    def read(self, source: Path, item: SourceItem, *, config: DicomConfig = DicomConfig()) -> SourceImage:
        """Return one image; refused when truth.csv and the header disagree about side or view."""
        path = inside(image_folder(source), item.name)
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
        mask = read_mask(inside(source / "masks", item.masks[0], what="its mask is not in the folder masks"))
        if not mask.any():
            raise ImageRefused("mask_empty", "the mask of an image with a mass is empty")
        return mask

    def reports(self, source: Path, *, sides: dict[str, Side]) -> list[SourceReport]:
        """Return the rows of reports.csv and of reports.parquet; none when both are absent."""
        tables = {name: read_report_file(source / name) for name in REPORT_TABLES if (source / name).exists()}
        check_same_texts(tables)
        return [report for reports in tables.values() for report in reports]


def image_folder(source: Path) -> Path:
    """Return the folder of the images of a source: dicom/, or the source itself."""
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
    return {item.name: item for item in read_truth(path)}


def read_truth(path: Path, *, reading: Reading | None = None) -> list[SourceItem]:
    """Return the images of a truth.csv.

    reading: takes what is found, and is finished by the caller; None = finished here

    Raises UserError with every wrong line.
    """
    listed: set[str] = set()
    return read_records(
        path,
        of=lambda row: _truth_item(row, listed=listed),
        columns=TRUTH_COLUMNS,
        optional=("density",),
        reading=reading,
    )


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
        side=_known(row, "side", tuple(Side), also=SIDE_WORDS),
        view=_known(row, "view", tuple(ViewPosition)),
        density=density_of(row["density"]),
        split=row.one_of("split", ("", *Split)),
    )


def _known(row: Row, column: str, choices: tuple[str, ...], *, also: Mapping[str, str] | None = None) -> str:
    """Return one of the choices, or another text as it is: it costs one image, which is compared with it."""
    if not row[column] or folded(row[column]) in {*map(folded, choices), *(also or {})}:
        return row.one_of(column, ("", *choices), also=also)
    row.odd(f"the {column} is not one of {', '.join(choices)}: the image will be quarantined")
    return row[column]
