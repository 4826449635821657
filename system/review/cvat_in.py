"""Read "CVAT for images 1.1": XML with boxes, polygons, ellipses, masks and tags by image.

Format: docs.cvat.ai, "XML annotation format", version 1.1. A mask is a run-length code along the rows of its box, the
first run outside. Entities are refused, because they may expand without end.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from xml.parsers import expat

import numpy as np

from system.errors import Mistakes, UserError
from system.review.annotations import AnnotatedImage, Annotation, DrawnFile
from system.review.rle import runs_of

_ELLIPSE_POINTS = 72
_MAX_PX = 65536

Attributes = Mapping[str, str]


@dataclass(slots=True)
class _Reader:
    """Follows the elements of one file."""

    file: str
    mistakes: Mistakes
    image: AnnotatedImage | None = None
    path: list[str] = field(default_factory=list)
    text: str = ""
    pictures: set[str] = field(default_factory=set)
    categories: set[str] = field(default_factory=set)
    annotations: list[Annotation] = field(default_factory=list)
    answers: dict[str, str] = field(default_factory=dict)

    def start(self, name: str, attributes: Attributes) -> None:
        self.path.append(name)
        self.text = ""
        if name == "track":
            raise UserError(f"{self.file} is of CVAT for video: export the task as CVAT for images 1.1")
        if name == "image" and len(self.path) == 2:
            self.image = _image(attributes)
            self.pictures.add(self.image.name)
        elif self.image is not None and len(self.path) == 3:
            self._add(name, attributes, self.image)

    def _add(self, name: str, attributes: Attributes, image: AnnotatedImage) -> None:
        """Keep a shape or a tag of an image."""
        category = attributes.get("label", "").strip().lower()
        if name == "tag":
            self.answers[image.name] = category
            return
        label = f"shape {len(self.annotations) + 1} ({name[:20]}) on {image.name[-60:]!r}"
        try:
            if name not in _SHAPES:
                raise UserError("it is no outline: draw a box, a polygon, an ellipse or a mask")
            content = _SHAPES[name](attributes, image.shape)
        except UserError as error:
            self.mistakes.add(f"{self.file}: {label}: {error}")
            content = None
        if content is not None:
            self.categories.add(category)
            self.annotations.append(Annotation(label, image, category, content))

    def end(self, name: str) -> None:
        self.path.pop()
        if name == "image":
            self.image = None
        elif name == "name" and self.path[-2:] == ["labels", "label"]:
            self.categories.add(self.text.strip().lower())

    def data(self, text: str) -> None:
        self.text += text


def read_cvat(data: bytes, path: Path, *, mistakes: Mistakes) -> DrawnFile:
    """Return the content of a file; shapes that cannot be read are added to the mistakes.

    Raises UserError for a file that is none, and for one of a video.
    """
    reader, parser = _Reader(path.name, mistakes), expat.ParserCreate()
    parser.StartElementHandler, parser.EndElementHandler = reader.start, reader.end
    parser.CharacterDataHandler = reader.data

    def refuse(*_: object) -> None:
        raise UserError(f"{path.name} declares entities, which CVAT never writes: export it again")

    parser.EntityDeclHandler = refuse
    try:
        parser.Parse(data, True)
    except (expat.ExpatError, ValueError) as error:
        if isinstance(error, UserError):
            raise
        raise UserError(f"{path.name} is no XML of CVAT ({error}): export the task as CVAT for images 1.1") from None
    tags = frozenset(reader.categories)
    return DrawnFile(path, frozenset(reader.pictures), tags, tuple(reader.annotations), reader.answers)


def _image(attributes: Attributes) -> AnnotatedImage:
    try:
        rows, cols = (_whole(attributes, name, low=1) for name in ("height", "width"))
    except UserError:
        return AnnotatedImage(attributes.get("name", ""), None)
    return AnnotatedImage(attributes.get("name", ""), (rows, cols))


def _box(attributes: Attributes, _: object) -> dict[str, Any]:
    if attributes.get("rotation") and _number(attributes, "rotation"):
        raise UserError("the box is turned: draw it upright, or a polygon")
    x0, y0, x1, y1 = (_number(attributes, name) for name in ("xtl", "ytl", "xbr", "ybr"))
    return {"bbox": [x0, y0, x1 - x0, y1 - y0]}


def _polygon(attributes: Attributes, _: object) -> dict[str, Any]:
    try:
        places = [float(at) for point in attributes["points"].split(";") for at in point.split(",")]
    except (KeyError, ValueError):
        raise UserError("its points are no list of x and y") from None
    return {"segmentation": [places]}


def _ellipse(attributes: Attributes, _: object) -> dict[str, Any]:
    x, y, across, down = (_number(attributes, name) for name in ("cx", "cy", "rx", "ry"))
    turn = np.deg2rad(_number(attributes, "rotation") if attributes.get("rotation") else 0.0)
    angle = np.linspace(0, 2 * np.pi, _ELLIPSE_POINTS, endpoint=False)
    right, below = across * np.cos(angle), down * np.sin(angle)
    points = np.stack(
        [x + right * np.cos(turn) - below * np.sin(turn), y + right * np.sin(turn) + below * np.cos(turn)]
    )
    return {"segmentation": [points.T.ravel().tolist()]}


def _mask(attributes: Attributes, shape: tuple[int, int] | None) -> dict[str, Any]:
    """Return a mask as COCO has it: runs down the columns of the whole picture."""
    if shape is None:
        raise UserError("its picture has no width and height")
    left, top = (_whole(attributes, name, low=0) for name in ("left", "top"))
    rows, cols = (_whole(attributes, name, low=1) for name in ("height", "width"))
    try:
        runs = [int(run) for run in attributes["rle"].split(",")]
    except (KeyError, ValueError):
        raise UserError("its rle is no list of whole numbers") from None
    if min(runs) < 0 or sum(runs) != rows * cols or top + rows > shape[0] or left + cols > shape[1]:
        raise UserError("its rle is not of its box, or the box not in the picture")
    whole = np.zeros(shape, bool)
    whole[top : top + rows, left : left + cols] = np.repeat(np.arange(len(runs)) % 2 == 1, runs).reshape(rows, cols)
    return {"segmentation": {"size": list(shape), "counts": runs_of(whole)}}


_SHAPES: dict[str, Callable[[Attributes, tuple[int, int] | None], dict[str, Any]]] = {
    "box": _box,
    "polygon": _polygon,
    "ellipse": _ellipse,
    "mask": _mask,
}


def _number(attributes: Attributes, name: str) -> float:
    try:
        return float(attributes[name])
    except (KeyError, ValueError):
        raise UserError(f"its {name} is no number") from None


def _whole(attributes: Attributes, name: str, *, low: int) -> int:
    number = _number(attributes, name)
    if not low <= number <= _MAX_PX or number != int(number):
        raise UserError(f"its {name} is no whole number of pixels")
    return int(number)
