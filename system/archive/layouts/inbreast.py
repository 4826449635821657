"""INbreast as it is distributed: full-field DICOM files, one table, and OsiriX files of outlines.

There is one file of outlines for each image that has findings:

INbreast.csv                                          File Name (a number), Laterality, View, Acquisition date, …;
                                                      delimited by ;
AllDICOMs/20586908_6c613a14b80a8591_MG_R_CC_ANON.dcm  number, patient, side and view (ML stands for MLO)
AllXML/20586908.xml                                   a property list: Images, ROIs, each with a Name and its
                                                      Point_px "(x, y)"

What the table does not make plain:
* It has no patients ("removed"), and the headers are blank. The patient stands in the file's name; patient and
  acquisition month make the study, because some patients came twice.
* A listed image without an XML file has no findings; of an image that the table does not list, nothing is known.
* Only ROIs named Mass are masses (not Spiculated Region, Cluster, Distortion, …, whose spelling varies). A Mass of one
  or two points is a place, not an outline: it makes its image positive without truth.
* An image whose XML file is not such a list, declares entities or is over the size limit is refused
  (`truth_unreadable`).
"""

import plistlib
import re
from dataclasses import dataclass
from pathlib import Path
from xml.parsers.expat import ExpatError

import numpy as np
from skimage.draw import polygon

from system.archive.layouts.layout import SourceItem, SourceReport, density_of
from system.files.csv_in import read_records
from system.files.row import Row
from system.imaging import DicomConfig, ImageRefused, SourceImage, read_pixels
from system.records import Side, ViewPosition

TABLE = "INbreast.csv"
COLUMNS = ("Laterality", "View", "Acquisition date", "File Name")
FILE_NAME = re.compile(r"(?P<number>[0-9]+)_(?P<patient>[0-9a-f]+)_MG_(?P<side>[LR])_(?P<view>CC|MLO|ML)_ANON\.dcm")
VIEWS = ("CC", "MLO", "ML")  # ML stands for MLO
NUMBER = re.compile(r"[0-9]{1,32}")
POINT = re.compile(r"\(\s*([^,()]+),\s*([^,()]+)\)")
SPACING_MM = 0.07  # Moreira et al. 2012: one machine, 70 µm
MAX_XML_BYTES = 64 * 1024**2  # an image full of outlined calcifications has a few MB


@dataclass(frozen=True, slots=True)
class InBreast:
    """The images, and the filled outlines of their masses."""

    name: str = "inbreast"
    report_source: str = "none"

    def items(self, source: Path) -> list[SourceItem]:
        """Return the images of the table and of AllDICOMs, ordered by name."""
        listed = _listed(source)
        found = [path.name for path in (source / "AllDICOMs").glob("*.dcm")]
        absent = [f"{number}.dcm" for number in listed.keys() - {_number(file_name) for file_name in found}]
        return [_item(source, file_name, row=listed.get(_number(file_name))) for file_name in sorted(found + absent)]

    def files(self, source: Path, item: SourceItem) -> list[Path]:
        """Return the DICOM file and the file of its outlines."""
        return [source / item.name, _outline_file(source, item.name)]

    def read(self, source: Path, item: SourceItem, *, config: DicomConfig = DicomConfig()) -> SourceImage:
        """Return one image; refused when the table and the file's name disagree, or the outlines cannot be read."""
        path = source / item.name
        if not path.is_file():
            raise ImageRefused("not_found", "an image that the table lists is not in AllDICOMs")
        if (match := FILE_NAME.fullmatch(path.name)) is None:
            raise ImageRefused("missing_id", "the file's name is not <number>_<patient>_MG_<side>_<view>_ANON.dcm")
        side, view = Side(match["side"]), _view(match["view"])
        if item.side and (item.side, item.view) != (side, view):
            raise ImageRefused(
                "view", f"{TABLE} has {item.side} {item.view}, the file's name has {side.value} {view.value}"
            )
        _mass_outlines(_outline_file(source, item.name))
        return SourceImage(
            pixels=read_pixels(path, config=config),
            side=side,
            view=view,
            spacing_mm=SPACING_MM,
            patient=item.patient,
            study=item.study,
            image=f"INbreast {match['number']}",
        )

    def mask(self, source: Path, item: SourceItem, image: SourceImage) -> np.ndarray:
        """Return the filled outlines of the masses, cut at the picture's edges."""
        mask = np.zeros(image.pixels.shape, bool)
        for points in _mass_outlines(_outline_file(source, item.name)):
            rows, cols = polygon(points[:, 1], points[:, 0], shape=mask.shape)
            if not rows.size:
                raise ImageRefused("mask_empty", "the outline of a mass encloses no pixel of the image")
            mask[rows, cols] = True
        return mask

    def reports(self, source: Path, *, sides: dict[str, Side]) -> list[SourceReport]:
        """Return nothing."""
        return []


def _listed(source: Path) -> dict[str, dict[str, str]]:
    """Return the rows of the table by file number."""
    rows: dict[str, dict[str, str]] = {}

    def keep(row: Row) -> None:
        number = row["File Name"]
        row.one_of("Laterality", tuple(Side))
        row.one_of("View", VIEWS)
        if not NUMBER.fullmatch(number) or number in rows:
            row.wrong("expected a number that no other row has: correct the row", column="File Name")
        rows[number] = row.values

    read_records(source / TABLE, of=keep, columns=COLUMNS, optional=("ACR",))
    return rows


def _number(file_name: str) -> str:
    """Return the text before the first _ or point."""
    return re.split(r"[_.]", file_name, maxsplit=1)[0]


def _item(source: Path, file_name: str, *, row: dict[str, str] | None) -> SourceItem:
    """Return one image.

    row: of the table; None = not listed
    """
    name = f"AllDICOMs/{file_name}"
    match = FILE_NAME.fullmatch(file_name)
    patient = f"INbreast {match['patient']}" if match else ""
    try:
        outlines = _mass_outlines(_outline_file(source, name))
    except ImageRefused:  # `read` raises it again, where it costs one row
        outlines = []
    return SourceItem(
        name=name,
        has_truth=row is not None and all(len(points) > 2 for points in outlines),
        num_masses=len(outlines),
        side=row["Laterality"] if row else "",
        view=_view(row["View"]) if row else "",
        density=density_of(row["ACR"]) if row else "",
        patient=patient,
        study=f"{patient} {row['Acquisition date'] if row else f'of {file_name}'}",
    )


def _view(text: str) -> ViewPosition:
    return ViewPosition.CC if text == "CC" else ViewPosition.MLO


def _outline_file(source: Path, name: str) -> Path:
    return source / "AllXML" / f"{_number(Path(name).name)}.xml"


def _mass_outlines(path: Path) -> list[np.ndarray]:
    """Return the points of every ROI named Mass: [N, 2] float each, x and y from the top left, source px.

    No file means no ROI. Raises ImageRefused truth_unreadable.
    """
    if not path.exists():
        return []
    if path.stat().st_size > MAX_XML_BYTES:
        raise ImageRefused(
            "truth_unreadable", f"the XML file has {path.stat().st_size} bytes, at most {MAX_XML_BYTES} are read"
        )
    try:
        content = plistlib.loads(path.read_bytes(), fmt=plistlib.FMT_XML)  # refuses entity declarations
        rois = [roi for image in content["Images"] for roi in image["ROIs"]]
        return [_points(roi["Point_px"]) for roi in rois if str(roi.get("Name", "")).strip().lower() == "mass"]
    except (ExpatError, ValueError, TypeError, LookupError, AttributeError) as error:
        raise ImageRefused(
            "truth_unreadable", f"the XML file is no OsiriX list of ROIs ({type(error).__name__})"
        ) from None


def _points(texts: list[str]) -> np.ndarray:
    """Return [N, 2] float from texts "(x, y)". Raises ValueError for any other text."""
    matches = [POINT.fullmatch(text.strip()) for text in texts]
    points = np.array([match.groups() for match in matches if match], dtype=float).reshape(-1, 2)
    if len(points) != len(texts) or not np.isfinite(points).all():
        raise ValueError("a point is not of the form (x, y)")
    return points
