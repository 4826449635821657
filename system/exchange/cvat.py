"""CVAT: "CVAT for images 1.1" with the candidates as boxes, and the labels of a task for them.

Format: docs.cvat.ai, "XML annotation format", version 1.1, annotation. Places are in px of the picture, from its top
left corner.
"""

import json
from collections.abc import Sequence
from pathlib import PurePosixPath
from xml.sax.saxutils import escape, quoteattr

from system.exchange.candidates import ImageCandidates
from system.exchange.coco import CANDIDATE, MASS

TAGS = ("no mass", "unsure")  # answers for a whole picture; `mass` is a label of shapes, and may be a tag too
_LABELS = ((MASS.name, "any"), (CANDIDATE.name, "rectangle"), *((tag, "tag") for tag in TAGS))


def as_cvat(images: Sequence[ImageCandidates]) -> str:
    """Return the annotations; pictures are named without their folder, as in a task they were dropped into."""
    labels = "".join(
        f"<label><name>{escape(name)}</name><type>{kind}</type><attributes/></label>" for name, kind in _LABELS
    )
    task = (
        f"<task><size>{len(images)}</size><mode>annotation</mode><overlap>0</overlap><labels>{labels}</labels></task>"
    )
    lines = [
        '<?xml version="1.0" encoding="utf-8"?>',
        "<annotations>",
        "<version>1.1</version>",
        f"<meta>{task}</meta>",
        *(line for place, image in enumerate(images) for line in _image(image, place)),
        "</annotations>",
        "",
    ]
    return "\n".join(lines)


def _image(image: ImageCandidates, place: int) -> list[str]:
    name = quoteattr(PurePosixPath(image.file).name)
    boxes = []
    for candidate in image.candidates:
        edges = zip(("xtl", "ytl", "xbr", "ybr"), candidate.box_px, strict=True)
        where = " ".join(f'{edge}="{at:.2f}"' for edge, at in edges)
        boxes.append(f'<box label="{CANDIDATE.name}" source="auto" occluded="0" {where} z_order="0"></box>')
    return [f'<image id="{place}" name={name} width="{image.cols}" height="{image.rows}">', *boxes, "</image>"]


def cvat_labels() -> str:
    """Return the labels of a task, for its constructor's "Raw" page."""
    return json.dumps([{"name": name, "type": kind, "attributes": []} for name, kind in _LABELS], indent=1)
