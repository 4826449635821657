"""The worklist's page: the studies of a prediction by falling suspicion, with their views and candidates."""

from collections.abc import Sequence
from dataclasses import dataclass

from system.figures.films import Gray, MarkedBox, at_height, jpeg_address
from system.figures.html import render

THUMBNAIL_PX = 240


@dataclass(frozen=True, slots=True)
class Thumbnail:
    """One view of a study."""

    title: str  # breast and view
    pixels: Gray
    boxes: Sequence[MarkedBox]


@dataclass(frozen=True, slots=True)
class WorklistRow:
    """One study."""

    place: int  # from 1
    study: str  # as the source names it
    score: float  # highest of its candidates, 0 to 1; 0 without one, NaN where no file could be looked at
    where: str  # breast and view of that candidate; "" without one
    num_candidates: int
    num_views: int  # looked at
    num_unread: int
    thumbnails: Sequence[Thumbnail]


@dataclass(frozen=True, slots=True)
class WorklistPage:
    """A prediction's studies."""

    rows: Sequence[WorklistRow]
    detector: str  # what a candidate is
    num_unassigned: int  # files that could not be read and belong to no known study
    num_pictured: int  # studies with pictures, at most


def worklist_page(page: WorklistPage) -> str:
    """Return the page as HTML."""
    pictures = {row.place: [_picture(each) for each in row.thumbnails] for row in page.rows}
    return render("worklist.html", page=page, pictures=pictures)


def _picture(each: Thumbnail) -> dict[str, object]:
    rows, cols = each.pixels.shape
    address = jpeg_address(at_height(each.pixels, THUMBNAIL_PX))
    return {"title": each.title, "boxes": each.boxes, "address": address, "rows": rows, "cols": cols}
