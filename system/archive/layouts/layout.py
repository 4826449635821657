"""What a layout supplies, and the records it speaks in; all ids here are raw and only to be hashed.

Items travel as JSON: on the other side, a tuple of theirs may be a list.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np

from system.imaging import DicomConfig, ImageRefused, SourceImage
from system.records import Side


@dataclass(frozen=True, slots=True)
class SourceItem:
    """One image file and what the source says of its masses."""

    name: str  # path relative to the source
    has_truth: bool = False  # it is known where all its masses are
    num_masses: int = 0  # said to be there; may be positive without truth
    masks: tuple[str, ...] = ()  # files or folders of masks, named as the layout names them; the truth is their union
    circles_px: tuple[tuple[float, float, float], ...] = ()  # x, y from the top left and radius, source px
    boxes_px: tuple[tuple[float, float, float, float], ...] = ()  # x0, y0, x1, y1 from the top left, source px; may reach outside
    size_px: tuple[int, ...] = ()  # rows, cols of the picture that the places were marked in; () = not said
    side: str = ""  # what the source's list says, to be compared with the image; "" = nothing
    view: str = ""
    density: str = ""  # ACR a (fatty) to d (extremely dense); "" = not said
    patient: str = ""  # who she is, where the list or the file's name says it; "" = the header does
    study: str = ""
    split: str = ""  # "" = the archive decides


@dataclass(frozen=True, slots=True)
class SourceReport:
    """One version of a study's report."""

    study: str
    version: int
    status: str  # final, corrected, withdrawn
    language: str
    description: str
    impression: str


class Layout(Protocol):
    """One kind of source folder. Cheap to make and to pickle."""

    @property
    def name(self) -> str:
        """The value of `images.source`."""
        ...

    @property
    def report_source(self) -> str:
        """The value of `reports.source`."""
        ...

    def items(self, source: Path) -> list[SourceItem]:
        """Return the images in a fixed order. Raises ValueError when a list in the source is wrong."""
        ...

    def files(self, source: Path, item: SourceItem) -> list[Path]:
        """Return every file the item is read from, the image first, whether or not it exists; opens nothing."""
        ...

    def read(self, source: Path, item: SourceItem, *, config: DicomConfig = DicomConfig()) -> SourceImage:
        """Return one image. Raises ImageRefused."""
        ...

    def mask(self, source: Path, item: SourceItem, image: SourceImage) -> np.ndarray:
        """Return the truth of an item that has it: [rows, cols] bool in the source frame. Raises ImageRefused."""
        ...

    def reports(self, source: Path, *, sides: dict[str, Side]) -> list[SourceReport]:
        """Return the reports. sides: item name -> breast, of the images that could be read."""
        ...


def density_of(text: str) -> str:
    """Return the ACR letter, a to d, of a density as data sets write it (2, B, DENSITY B); "" for what is none: it only sorts results."""
    last = text.strip().lower().removeprefix("density").strip()
    return dict(zip("1234", "abcd", strict=True)).get(last, last if last in tuple("abcd") else "")


def inside(folder: Path, name: str) -> Path:
    """Return the path of a listed file, which must lie in the folder. Raises ImageRefused not_found."""
    path = (folder / name).resolve()
    if not path.is_relative_to(folder.resolve()) or not path.is_file():
        raise ImageRefused("not_found", "a listed file is not in the source folder")
    return path
