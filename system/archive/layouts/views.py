"""A folder of single views, DICOM, PNG and PGM files in any arrangement: the input of `mammoloop predict`.

**           any file names
views.csv    file, study, side (L, R), view (CC, MLO); needed for PNG and PGM files, which have no header with these
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from system.archive.layouts.layout import SIDE_WORDS, SourceItem, SourceReport, inside
from system.files.csv_in import read_records
from system.files.reading import Reading
from system.files.row import Row
from system.imaging import DicomConfig, ImageRefused, SourceImage, read_dicom, read_plain
from system.records import Side, ViewPosition

LIST = "views.csv"
COLUMNS = ("file", "study", "side", "view")
PLAIN = (".png", ".pgm")


@dataclass(frozen=True, slots=True)
class ViewFolder:
    """Views without reports and without truth."""

    name: str = "views"
    report_source: str = "hospital"

    def items(self, source: Path) -> list[SourceItem]:
        """Return every file, hidden ones left out, with its row of views.csv, ordered by path."""
        listed = _read_list(source / LIST)
        found = {path.relative_to(source).as_posix() for path in source.rglob("*") if path.is_file()}
        seen = {name for name in found if name != LIST and not any(part.startswith(".") for part in name.split("/"))}
        return [listed.get(name, SourceItem(name)) for name in sorted(seen | listed.keys())]

    def files(self, source: Path, item: SourceItem) -> list[Path]:
        """Return the picture."""
        return [source / item.name]

    def read(self, source: Path, item: SourceItem, *, config: DicomConfig = DicomConfig()) -> SourceImage:
        """Return one image; refused when views.csv and a DICOM header disagree, or a PNG or PGM is not listed."""
        path = inside(source, item.name)
        if path.suffix.lower() in PLAIN:
            return _plain(path, item)
        image = read_dicom(path, config=config)
        for what, listed, found in (("side", item.side, image.side), ("view", item.view, image.view)):
            if listed and listed != found:
                raise ImageRefused("view", f"the {what} is {listed!r} in {LIST}, {found.value!r} in the header")
        return image

    def mask(self, source: Path, item: SourceItem, image: SourceImage) -> np.ndarray:
        """Return an empty mask."""
        return np.zeros(image.pixels.shape, bool)

    def reports(self, source: Path, *, sides: dict[str, Side]) -> list[SourceReport]:
        """Return nothing."""
        return []


def _plain(path: Path, item: SourceItem) -> SourceImage:
    if not item.side:
        raise ImageRefused(
            "view", f"a PNG or PGM does not say what it shows: list it in {LIST} with file, study, side and view"
        )
    return SourceImage(
        pixels=read_plain(path).astype(np.float32),
        side=Side(item.side),
        view=ViewPosition(item.view),
        spacing_mm=0.0,
        patient="",
        study=item.study,
        image=item.name,
    )


def _read_list(path: Path) -> dict[str, SourceItem]:
    """Return the items of views.csv by file; none when it is absent."""
    if not path.exists():
        return {}
    return {item.name: item for item in read_views(path)}


def read_views(path: Path, *, reading: Reading | None = None) -> list[SourceItem]:
    """Return the images of a views.csv.

    reading: takes what is found, and is finished by the caller; None = finished here

    Raises UserError with every wrong line.
    """
    listed: set[str] = set()
    return read_records(path, of=lambda row: _item(row, listed=listed), columns=COLUMNS, reading=reading)


def _item(row: Row, *, listed: set[str]) -> SourceItem:
    """Return one image. listed: the files of the rows before."""
    row.given("file", remedy="give the path of the picture in this folder")
    if row["file"] in listed:
        row.wrong("a file is listed twice: keep one row")
    listed.add(row["file"])
    return SourceItem(
        name=row.path("file"),
        study=row.given("study", remedy="give all images of one examination the same study"),
        side=row.one_of("side", tuple(Side), also=SIDE_WORDS),
        view=row.one_of("view", tuple(ViewPosition)),
    )
