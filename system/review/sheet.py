"""The table that a radiologist fills in: one line per image of the queue."""

from dataclasses import dataclass
from pathlib import Path

from system.errors import UserError
from system.files.csv_in import one_of, read_rows, to_count
from system.mining import VERDICTS
from system.records import Box

SHEET = ("image_id", "picture", "study_id", "side", "view", "why", "p_mass", "score", "verdict", "x0", "y0", "x1", "y1")
VERDICT_COLUMNS = ("image_id", "picture", "why", "verdict", "x0", "y0", "x1", "y1")


@dataclass(frozen=True, slots=True)
class Judgement:
    """A radiologist's verdict on one image."""

    image_id: str
    picture: str  # file name of the picture that was shown; also `file_name` in COCO annotations
    why: str  # queue.Why
    verdict: str  # a key of mining.VERDICTS
    box_px: Box | None  # around the mass, in the picture's pixels; None = not drawn


def read_sheet(path: Path) -> list[Judgement]:
    """Return the judgements of a completed sheet; lines without a verdict are left out.

    Raises UserError with the line for an unknown verdict, an incomplete box, a box without a mass, an image that is
    judged twice.
    """
    found: dict[str, Judgement] = {}
    for line, row in read_rows(path, columns=VERDICT_COLUMNS):
        if not row["verdict"]:
            continue
        where = f"{path.name} line {line}"
        if row["image_id"] in found:
            raise UserError(f"{where}: the image was judged in a line before: keep one of them")
        verdict = one_of(row["verdict"], tuple(VERDICTS), where=f"{where}, verdict")
        found[row["image_id"]] = Judgement(
            row["image_id"], row["picture"], row["why"], verdict, _box(row, verdict, where=where)
        )
    return list(found.values())


def _box(row: dict[str, str], verdict: str, *, where: str) -> Box | None:
    edges = [row[name] for name in ("x0", "y0", "x1", "y1")]
    if not any(edges):
        return None
    if verdict != "mass":
        raise UserError(f"{where}: a box is drawn, but the verdict is {verdict!r}: only a mass has a box")
    x0, y0, x1, y1 = (
        to_count(edge, where=f"{where}, {name}") for name, edge in zip(("x0", "y0", "x1", "y1"), edges, strict=True)
    )
    if x1 <= x0 or y1 <= y0:
        raise UserError(
            f"{where}: the box ends where it begins ({x0}, {y0}, {x1}, {y1}): x1 must be above x0, y1 above y0"
        )
    return x0, y0, x1, y1
