"""The table that a radiologist fills in: one line per image of the queue."""

from dataclasses import dataclass, field
from pathlib import Path

from system.files.csv_in import read_records
from system.files.reading import Reading
from system.files.row import Row
from system.mining import VERDICTS
from system.records import Box

SHEET = ("image_id", "picture", "study_id", "side", "view", "why", "p_mass", "score", "verdict", "x0", "y0", "x1", "y1")
BOX = ("x0", "y0", "x1", "y1")
VERDICT_COLUMNS = ("image_id", "picture", "why", "verdict", *BOX)
MAX_PX = 65535  # no view has more rows or columns


@dataclass(frozen=True, slots=True)
class Judgement:
    """A radiologist's verdict on one image."""

    image_id: str
    picture: str  # file name of the picture that was shown; also `file_name` in COCO annotations
    why: str  # queue.Why
    verdict: str  # a key of mining.VERDICTS; "" = not judged yet
    box_px: Box | None  # around the mass, in the picture's pixels; None = not drawn
    line: int = field(default=0, compare=False)  # of the sheet


def read_sheet(path: Path) -> list[Judgement]:
    """Return the judgements of a completed sheet; lines without a verdict are left out. Raises as `read_lines`."""
    return [line for line in read_lines(path) if line.verdict]


def read_lines(path: Path, *, reading: Reading | None = None) -> list[Judgement]:
    """Return all lines of a sheet.

    reading: takes what is found, and is finished by the caller; None = finished here

    Raises UserError with every wrong line: an unknown verdict, an incomplete box, a box without a mass, an image that
    is judged twice, a picture of two images.
    """
    judged: set[str] = set()
    image_of: dict[str, str] = {}

    def judgement(row: Row) -> Judgement:
        if row["verdict"] and row["image_id"] in judged:
            row.wrong("the image was judged in a line before: keep one of them")
        if row["verdict"]:
            judged.add(row["image_id"])
        if row["picture"] and image_of.setdefault(row["picture"], row["image_id"]) != row["image_id"]:
            row.wrong("another image has the same picture: import the sheet of each queue by itself")
        verdict = row.one_of("verdict", tuple(VERDICTS)) if row["verdict"] else ""
        return Judgement(row["image_id"], row["picture"], row["why"], verdict, _box(row, verdict), row.line)

    return read_records(path, of=judgement, columns=VERDICT_COLUMNS, reading=reading)


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
