"""What a radiologist looks at in a review: a page for each study, and the list of the queue.

They have no script and load nothing from elsewhere.
"""

import base64
import io
from collections.abc import Sequence
from dataclasses import dataclass
from importlib import resources

import numpy as np
from jinja2 import Environment, StrictUndefined
from numpy.typing import NDArray
from PIL import Image

from system.figures import format as text

JPEG_QUALITY = 92
GAP_PX = 8

Gray = NDArray[np.uint8]
"""[rows, cols]."""


@dataclass(frozen=True, slots=True)
class MarkedBox:
    """A candidate of the network, in the picture's pixels."""

    x0: float
    y0: float
    x1: float
    y1: float
    score: float  # 0 to 1


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
            "address": _jpeg_address(view.pixels),
        }
        for view in page.views
    ]
    return _render("review_study.html", page=page, views=views)


def queue_page(questions: Sequence[Question], *, sheet: str) -> str:
    """Return the list of the queue as HTML. sheet: name of the table to fill in."""
    return _render("review_queue.html", questions=questions, sheet=sheet)


def side_by_side(views: Sequence[Gray], *, height_px: int) -> Gray:
    """Return views beside each other, each scaled to a height: [height_px, cols]."""
    parts = []
    for view in views:
        width = max(1, round(view.shape[1] * height_px / view.shape[0]))
        parts.append(np.asarray(Image.fromarray(view).resize((width, height_px), Image.Resampling.LANCZOS)))
        parts.append(np.zeros((height_px, GAP_PX), np.uint8))
    return np.concatenate(parts[:-1], axis=1)


def _render(template: str, **values: object) -> str:
    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    environment.filters["share"] = text.share
    content = resources.files("system.figures").joinpath(f"templates/{template}").read_text(encoding="utf8")
    return environment.from_string(content).render(**values)


def _jpeg_address(pixels: Gray) -> str:
    """Return a picture as a `data:` URI."""
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, format="JPEG", quality=JPEG_QUALITY)
    return f"data:image/jpeg;base64,{base64.b64encode(file.getvalue()).decode()}"
