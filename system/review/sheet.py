"""The table that a radiologist fills in: one line per image of the queue."""

from dataclasses import dataclass, field
from pathlib import Path

from system.files.csv_in import read_records
from system.files.reading import Reading
from system.files.row import Row
from system.imaging import Geometry
from system.mining import VERDICTS
from system.records import Box

BOX = ("x0", "y0", "x1", "y1")
GEOMETRY = "geometry"
SHEET = (
    *("image_id", "picture", "study_id", "side", "view", "why", "p_mass", "score", "verdict", *BOX, "sentence"),
    GEOMETRY,
)
VERDICT_COLUMNS = ("image_id", "picture", "why", "verdict", *BOX)
MAX_PX = 65535  # no view has more rows or columns
_TWICE = "the image was judged in a line before: keep one of them, or, for several masses, give each line a box"


@dataclass(frozen=True, slots=True)
class Judgement:
    """A radiologist's verdict on one image."""

    image_id: str
    picture: str  # file name of the picture that was shown; also `file_name` in COCO annotations
    why: str  # queue.Why
    verdict: str  # a key of mining.VERDICTS; "" = not judged yet
    box_px: Box | None  # around the mass, in the picture's pixels; None = not drawn
    line: int = field(default=0, compare=False)  # of the sheet
    # from the picture's pixels to the archive's view; None: the picture is the view, as in the first exports
    frame: Geometry | None = field(default=None, compare=False)

    @property
    def key(self) -> str:
        """What the image is called among those of a sheet: its picture, if it has one."""
        return self.picture or self.image_id


def read_sheet(path: Path) -> list[Judgement]:
    """Return the judgements of a completed sheet; lines without a verdict are left out. Raises as `read_lines`."""
    return [line for line in read_lines(path) if line.verdict]


def read_lines(path: Path, *, reading: Reading | None = None) -> list[Judgement]:
    """Return all lines of a sheet.

    Several masses of one image are several lines with its id, each with a box.

    reading: takes what is found, and is finished by the caller; None = finished here

    Raises UserError with every wrong line: an unknown verdict, an incomplete box, a box without a mass, an image that
    is judged twice but for its several masses, a picture of two images.
    """
    outlined: dict[str, bool] = {}  # of the images judged so far: whether as a mass with a box
    image_of: dict[str, str] = {}

    def judgement(row: Row) -> Judgement:
        verdict = row.one_of("verdict", tuple(VERDICTS)) if row["verdict"] else ""
        box = _box(row, verdict)
        is_boxed = verdict == "mass" and box is not None
        if row["verdict"] and row["image_id"] in outlined and not (is_boxed and outlined[row["image_id"]]):
            row.wrong(_TWICE)
        if row["verdict"]:
            outlined[row["image_id"]] = is_boxed
        if row["picture"] and image_of.setdefault(row["picture"], row["image_id"]) != row["image_id"]:
            row.wrong("another image has the same picture: import the sheet of each queue by itself")
        known = (row["image_id"], row["picture"], row["why"])
        return Judgement(*known, verdict, box, row.line, _frame(row))

    return read_records(path, of=judgement, columns=VERDICT_COLUMNS, optional=(GEOMETRY,), reading=reading)


def _box(row: Row, verdict: str) -> Box | None:
    if not any(row[name] for name in BOX):
        return None
    if verdict != "mass":
        verdict = f"the verdict is {row['verdict'][:20]!r}" if row["verdict"] else "there is no verdict"
        row.wrong(f"a box is drawn, but {verdict}: only a mass has a box")
        return None
    faults = len(row.mistakes)
    x0, y0, x1, y1 = (row.count(name, high=MAX_PX) for name in BOX)
    if len(row.mistakes) == faults and (x1 <= x0 or y1 <= y0):
        row.wrong(f"the box ends where it begins ({x0}, {y0}, {x1}, {y1}): x1 must be above x0, y1 above y0")
    return x0, y0, x1, y1


def _frame(row: Row) -> Geometry | None:
    """Return the geometry that the export wrote; None in a sheet that has none."""
    if not row[GEOMETRY]:
        return None
    try:
        return Geometry.checked(row[GEOMETRY])
    except ValueError:
        row.wrong("it is not what was exported: restore the column from the exported sheet", column=GEOMETRY)
        return None
