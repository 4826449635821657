"""The review by radiologists: which images they are given, and how their verdicts come back.

queue.py     which images a radiologist should see next, and why
sheet.py     the table that a radiologist fills in
outlines.py  boxes and polygons as masks
"""

from system.review.outlines import from_box, from_coco
from system.review.queue import QueueConfig, Why, acquire
from system.review.sheet import SHEET, VERDICT_COLUMNS, Judgement, read_sheet

__all__ = [
    "SHEET",
    "VERDICT_COLUMNS",
    "Judgement",
    "QueueConfig",
    "Why",
    "acquire",
    "from_box",
    "from_coco",
    "read_sheet",
]
