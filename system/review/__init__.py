"""The review by radiologists: which images they are given, and how their verdicts come back.

queue.py     which images a radiologist should see next, and why
sheet.py     the table that a radiologist fills in
outlines.py  boxes, polygons and masks of annotations as masks; rle.py decodes the last
annotations.py         what an annotation tool's file holds
annotations_in.py      reads it in any known form: coco_in.py, label_studio_in.py, cvat_in.py
pictures.py  which picture of the queue a tool means
drawn.py     what the radiologist drew, and what the network proposed
"""

from system.review.annotations import DrawnFile
from system.review.annotations_in import answered, read_drawn
from system.review.coco_in import read_coco
from system.review.drawn import Drawn, Proposed, Sheet, drawn_on
from system.review.outlines import from_box, from_coco, in_view
from system.review.queue import QueueConfig, Why, acquire
from system.review.sheet import SHEET, VERDICT_COLUMNS, Judgement, read_lines, read_sheet

__all__ = [
    "SHEET",
    "VERDICT_COLUMNS",
    "Drawn",
    "DrawnFile",
    "Judgement",
    "Proposed",
    "QueueConfig",
    "Sheet",
    "Why",
    "acquire",
    "answered",
    "drawn_on",
    "from_box",
    "from_coco",
    "in_view",
    "read_coco",
    "read_drawn",
    "read_lines",
    "read_sheet",
]
