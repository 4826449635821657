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
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from system.archive.layouts.layout import SourceItem, SourceReport, density_of, filled_boxes
from system.errors import UserError
from system.files.csv_in import one_of, read_rows, to_count, to_number
from system.imaging import DicomConfig, ImageRefused, SourceImage, read_dicom
from system.records import Side, Split, ViewPosition

IMAGES = "breast-level_annotations.csv"
IMAGE_COLUMNS = ("study_id", "image_id", "laterality", "view_position", "height", "width", "split")
FINDINGS = "finding_annotations.csv"
BOX_COLUMNS = ("xmin", "ymin", "xmax", "ymax")
FINDING_COLUMNS = ("image_id", "finding_categories", *BOX_COLUMNS)
IDENTIFIER = re.compile(r"[0-9A-Za-z]+")
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
    for line, row in read_rows(source / IMAGES, columns=IMAGE_COLUMNS, optional=("breast_density",)):
        where = f"{IMAGES} line {line}"
        if row["image_id"] in items:
            raise UserError(f"{where}: an image is listed twice: keep one row")
        items[row["image_id"]] = _image(row, where=where)
    return items


def _image(row: dict[str, str], *, where: str) -> SourceItem:
    for column in ("study_id", "image_id"):
        if not IDENTIFIER.fullmatch(row[column]):
            raise UserError(f"{where}, {column}: expected letters and digits: correct the row")
    study = f"VinDr-Mammo {row['study_id']}"
    return SourceItem(
        name=f"images/{row['study_id']}/{row['image_id']}.dicom",
        has_truth=True,
        size_px=(to_count(row["height"], where=f"{where}, height"), to_count(row["width"], where=f"{where}, width")),
        side=one_of(row["laterality"], tuple(Side), where=f"{where}, laterality"),
        view=one_of(row["view_position"], tuple(ViewPosition), where=f"{where}, view_position"),
        density=density_of(row["breast_density"]),
        patient=study,
        study=study,
        split=SPLITS[one_of(row["split"], tuple(SPLITS), where=f"{where}, split")],
    )


def _mass_boxes(source: Path, *, known: Iterable[str]) -> dict[str, list[BoxPx]]:
    """Return the boxes of the masses of every known image."""
    boxes: dict[str, list[BoxPx]] = {image_id: [] for image_id in known}
    for line, row in read_rows(source / FINDINGS, columns=FINDING_COLUMNS):
        where = f"{FINDINGS} line {line}"
        if row["image_id"] not in boxes:
            raise UserError(f"{where}: {IMAGES} does not list this image: take both tables from one release")
        if MASS in _categories(row["finding_categories"], where=where):
            boxes[row["image_id"]].append(_box(row, where=where))
    return boxes


def _categories(text: str, *, where: str) -> list[str]:
    """Return the categories of a finding, from the text of a Python list of texts."""
    try:
        found = ast.literal_eval(text)
    except (ValueError, SyntaxError, MemoryError, RecursionError):
        found = None
    if not isinstance(found, list) or not all(isinstance(category, str) for category in found):
        raise UserError(f"{where}, finding_categories: expected a list like ['Mass'], found {text[:40]!r}")
    return found


def _box(row: dict[str, str], *, where: str) -> BoxPx:
    x0, y0, x1, y1 = (to_number(row[column], where=f"{where}, {column}") for column in BOX_COLUMNS)
    if x0 >= x1 or y0 >= y1:
        raise UserError(f"{where}: xmin and ymin must be below xmax and ymax: correct the row")
    return x0, y0, x1, y1
