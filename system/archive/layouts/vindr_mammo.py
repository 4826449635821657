"""VinDr-Mammo as PhysioNet distributes it: DICOM files by study, and boxes around findings.

breast-level_annotations.csv   one row per image:
                               study_id, image_id, laterality, view_position, height, width, split, …
finding_annotations.csv        one row per finding:
                               image_id, finding_categories (a Python list as text), xmin, ymin, xmax, ymax, …
images/<study_id>/<image_id>.dicom

What the tables do not make plain:
* Nothing joins the studies of one patient, and the headers' Patient ID does not identify anybody: a study counts as a
  patient.
* An image without findings has a row too (['No Finding']), without a box. A finding may have several categories, Mass
  among them.
* Boxes reach outside the picture: they are cut at its edges and filled, so a mask is a rectangle.
* Only findings that were not benign (BI-RADS 3 and above) were marked. The truth holds those only; a benign mass is
  background.
* The official test set is kept as our test set; the training set is split by this archive.
"""

import ast
import re
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from system.archive.layouts.layout import SourceItem, SourceReport, density_of, filled_boxes
from system.files.csv_in import read_records
from system.files.row import Row
from system.imaging import DicomConfig, ImageRefused, SourceImage, read_dicom
from system.records import Side, Split, ViewPosition

IMAGES = "breast-level_annotations.csv"
IMAGE_COLUMNS = ("study_id", "image_id", "laterality", "view_position", "height", "width", "split")
FINDINGS = "finding_annotations.csv"
BOX_COLUMNS = ("xmin", "ymin", "xmax", "ymax")
FINDING_COLUMNS = ("image_id", "finding_categories", *BOX_COLUMNS)
IDENTIFIER = re.compile(r"[0-9A-Za-z]{1,128}")
MAX_PX = 65535  # rows and columns of a DICOM file (0028,0010), (0028,0011): 16 bits
SPLITS = {"training": "", "test": Split.TEST}
MASS = "Mass"

BoxPx = tuple[float, float, float, float]
"""x0, y0, x1, y1 from the top left, source pixels; may reach outside."""


@dataclass(frozen=True, slots=True)
class VinDrMammo:
    """The images, and the filled boxes of their masses."""

    name: str = "vindr-mammo"
    report_source: str = "none"

    def items(self, source: Path) -> list[SourceItem]:
        """Return the listed images, ordered by path."""
        images = _images(source)
        boxes = _mass_boxes(source, known=images)
        items = [
            replace(item, num_masses=len(boxes[image_id]), boxes_px=tuple(boxes[image_id]))
            for image_id, item in images.items()
        ]
        return sorted(items, key=lambda item: item.name)

    def files(self, source: Path, item: SourceItem) -> list[Path]:
        """Return the DICOM file."""
        return [source / item.name]

    def read(self, source: Path, item: SourceItem, *, config: DicomConfig = DicomConfig()) -> SourceImage:
        """Return one image; refused when the table and the header disagree about side or view."""
        path = source / item.name
        if not path.is_file():
            raise ImageRefused("not_found", "a listed image is not in the source")
        image = read_dicom(path, config=config)
        for what, listed, found in (("side", item.side, image.side), ("view", item.view, image.view)):
            if listed != found:
                raise ImageRefused("view", f"the {what} is {listed!r} in {IMAGES}, {found.value!r} in the header")
        return replace(image, patient=item.patient, study=item.study, image=f"VinDr-Mammo {path.stem}")

    def mask(self, source: Path, item: SourceItem, image: SourceImage) -> np.ndarray:
        """Return the filled boxes of the masses, cut at the picture's edges."""
        if tuple(item.size_px) != image.pixels.shape:
            raise ImageRefused(
                "mask_size", f"boxes were marked in {list(item.size_px)} px, the image has {list(image.pixels.shape)}"
            )
        return filled_boxes(item.boxes_px, shape=image.pixels.shape)

    def reports(self, source: Path, *, sides: dict[str, Side]) -> list[SourceReport]:
        """Return nothing."""
        return []


def _images(source: Path) -> dict[str, SourceItem]:
    """Return the listed images by image_id, without their findings."""
    items: dict[str, SourceItem] = {}

    def keep(row: Row) -> None:
        if row["image_id"] in items:
            row.wrong("an image is listed twice: keep one row")
        items[row["image_id"]] = _image(row)

    read_records(source / IMAGES, of=keep, columns=IMAGE_COLUMNS, optional=("breast_density",))
    return items


def _image(row: Row) -> SourceItem:
    for column in ("study_id", "image_id"):
        if not IDENTIFIER.fullmatch(row[column]):
            row.wrong("expected letters and digits, at most 128: correct the row", column=column)
    study = f"VinDr-Mammo {row['study_id']}"
    return SourceItem(
        name=f"images/{row['study_id']}/{row['image_id']}.dicom",
        has_truth=True,
        size_px=(row.count("height", low=1, high=MAX_PX), row.count("width", low=1, high=MAX_PX)),
        side=row.one_of("laterality", tuple(Side)),
        view=row.one_of("view_position", tuple(ViewPosition)),
        density=density_of(row["breast_density"]),
        patient=study,
        study=study,
        split=SPLITS[row.one_of("split", tuple(SPLITS))],
    )


def _mass_boxes(source: Path, *, known: dict[str, SourceItem]) -> dict[str, list[BoxPx]]:
    """Return the boxes of the masses of every known image."""
    boxes: dict[str, list[BoxPx]] = {image_id: [] for image_id in known}

    def keep(row: Row) -> None:
        if row["image_id"] not in boxes:
            row.wrong(f"{IMAGES} does not list this image: take both tables from one release")
        elif MASS in _categories(row):
            boxes[row["image_id"]].append(_box(row))

    read_records(source / FINDINGS, of=keep, columns=FINDING_COLUMNS)
    return boxes


def _categories(row: Row) -> list[str]:
    """Return the categories of a finding, from the text of a Python list of texts."""
    text = row["finding_categories"]
    try:
        found = ast.literal_eval(text)
    except (ValueError, SyntaxError, MemoryError, RecursionError):
        found = None
    if not isinstance(found, list) or not all(isinstance(category, str) for category in found):
        row.wrong(f"expected a list like ['Mass'], found {text[:40]!r}", column="finding_categories")
        return []
    return found


def _box(row: Row) -> BoxPx:
    faults = len(row.mistakes)
    x0, y0, x1, y1 = (row.number(column, low=-MAX_PX, high=2 * MAX_PX) for column in BOX_COLUMNS)
    if len(row.mistakes) == faults and (x0 >= x1 or y0 >= y1):
        row.wrong("xmin and ymin must be below xmax and ymax: correct the row")
    return x0, y0, x1, y1
