"""The review by radiologists: which images they are given, and how their verdicts come back.

queue.py     which images a radiologist should see next, and why
sheet.py     the table that a radiologist fills in
outlines.py  boxes, polygons and masks of annotations as masks; rle.py decodes the last
coco_in.py   what annotation tools write
pictures.py  which picture of the queue a tool means
drawn.py     what the radiologist drew, and what the network proposed
"""

from system.review.coco_in import read_coco
from system.review.drawn import Drawn, Proposed, Sheet, drawn_on
from system.review.outlines import from_box, from_coco
from system.review.queue import QueueConfig, Why, acquire
from system.review.sheet import SHEET, VERDICT_COLUMNS, Judgement, read_lines, read_sheet

__all__ = [
    "SHEET",
    "VERDICT_COLUMNS",
    "Drawn",
    "Judgement",
    "Proposed",
    "QueueConfig",
    "Sheet",
    "Why",
    "acquire",
    "drawn_on",
    "from_box",
    "from_coco",
    "read_coco",
    "read_lines",
    "read_sheet",
]
