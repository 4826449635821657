"""The interface of a layout, and its records. All ids here are raw and must be hashed before they are stored.

Items are sent to the reading process as JSON, so what is a tuple here may be a list in a layout's `read` and `mask`.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np

from system.imaging import DicomConfig, ImageRefused, SourceImage
from system.records import Side

MAX_MASSES = 1000  # in one image; no table has near as many
SIDE_WORDS = {"left": Side.LEFT, "right": Side.RIGHT, "左": Side.LEFT, "右": Side.RIGHT}  # how hospital lists write it


@dataclass(frozen=True, slots=True)
class SourceItem:
    """One image file and what the lists of the source contain about it."""

    name: str  # path relative to the source
    has_truth: bool = False  # the places of all its masses are known
    num_masses: int = 0  # by the list; may be above 0 without truth
    masks: tuple[str, ...] = ()  # files or folders of masks, by the layout's own names; the truth is their union
    circles_px: tuple[tuple[float, float, float], ...] = ()  # x, y from the top left and radius, source px
    # x0, y0, x1, y1 from the top left, source px; may reach outside
    boxes_px: tuple[tuple[float, float, float, float], ...] = ()
    size_px: tuple[int, ...] = ()  # rows, cols of the picture in which the masses were marked; () = not given
    side: str = ""  # L or R by the list, to be compared with the image; "" = not given
    view: str = ""  # CC or MLO by the list, to be compared with the image; "" = not given
    density: str = ""  # ACR a (fatty) to d (extremely dense); "" = not given
    patient: str = ""  # raw id by the list or the file's name; "" = the header has it
    study: str = ""  # raw id by the list or the file's name; "" = the header has it
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
        """Return the images in a fixed order. Raises UserError when a list in the source is wrong or absent."""
        ...

    def files(self, source: Path, item: SourceItem) -> list[Path]:
        """Return every file from which the item is read, the image first, whether or not it exists; opens no file."""
        ...

    def read(self, source: Path, item: SourceItem, *, config: DicomConfig = DicomConfig()) -> SourceImage:
        """Return one image. Raises ImageRefused."""
        ...

    def mask(self, source: Path, item: SourceItem, image: SourceImage) -> np.ndarray:
        """Return the truth of an item that has it: [rows, cols] bool in the source frame. Raises ImageRefused."""
        ...

    def reports(self, source: Path, *, sides: dict[str, Side]) -> list[SourceReport]:
        """Return the reports. Raises UserError when a table of reports is wrong.

        sides: item name -> breast, of the images that could be read
        """
        ...


def density_of(text: str) -> str:
    """Return the ACR letter, a to d, of a density as data sets write it (2, B, DENSITY B).

    Any other text gives "", not an error: the density only sorts results into groups.
    """
    last = text.strip().lower().removeprefix("density").strip()
    return dict(zip("1234", "abcd", strict=True)).get(last, last if last in tuple("abcd") else "")


def filled_boxes(boxes_px: Sequence[tuple[float, float, float, float]], *, shape: tuple[int, ...]) -> np.ndarray:
    """Return the union of boxes, cut at the picture's edges: [rows, cols] bool.

    boxes_px: x0, y0, x1, y1; each pixel that a box touches belongs to it
    shape: rows, cols

    Raises ImageRefused mask_empty for a box outside the picture.
    """
    mask = np.zeros(shape, bool)
    for x0, y0, x1, y1 in boxes_px:
        inside = mask[max(0, math.floor(y0)) : max(0, math.ceil(y1)), max(0, math.floor(x0)) : max(0, math.ceil(x1))]
        if not inside.size:
            raise ImageRefused("mask_empty", "the box of a mass lies outside its image")
        inside[...] = True
    return mask


def inside(folder: Path, name: str, *, what: str = "a listed file is not in the source folder") -> Path:
    """Return the path of a listed file. Raises ImageRefused not_found with `what` when it is not in the folder."""
    path = (folder / name).resolve()
    if not path.is_relative_to(folder.resolve()) or not path.is_file():
        raise ImageRefused("not_found", what)
    return path
