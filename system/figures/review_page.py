"""What a radiologist looks at in a review: a page for each study, and the list of the queue.

They have no script and load nothing from elsewhere.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from system.figures.films import Gray, MarkedBox, jpeg_address
from system.figures.html import render


@dataclass(frozen=True, slots=True)
class Question:
    """One image that is to be judged."""

    place: int  # in the queue, from 1
    line: int  # of the sheet
    study: int  # number of its study's page
    title: str  # breast and view
    why: str  # review.Why
    p_mass: float  # by the report, 0 to 1; NaN without one
    score: float  # of the image, 0 to 1
    sentence: str  # of the report, on this breast; "" = there is no report
    picture: str  # file


@dataclass(frozen=True, slots=True)
class ShownView:
    """One view of a study."""

    title: str  # breast and view
    pixels: Gray
    boxes: Sequence[MarkedBox]
    from_source: bool
    question: Question | None  # None: it is not to be judged


@dataclass(frozen=True, slots=True)
class StudyPage:
    """One study of the queue."""

    number: int  # from 1, in the order of the queue
    num_studies: int
    views: Sequence[ShownView]  # as they hang
    sentences: dict[str, str]  # breast -> the report's sentence on it


def study_page(page: StudyPage) -> str:
    """Return one study as HTML."""
    views = [
        {
            "of": view,
            "rows": view.pixels.shape[0],
            "cols": view.pixels.shape[1],
            "address": jpeg_address(view.pixels),
        }
        for view in page.views
    ]
    return render("review_study.html", page=page, views=views)


def queue_page(questions: Sequence[Question], *, sheet: str) -> str:
    """Return the list of the queue as HTML. sheet: name of the table to fill in."""
    return render("review_queue.html", questions=questions, sheet=sheet)
