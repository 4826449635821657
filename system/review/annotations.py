"""What an annotation tool's file holds, whichever form it has; the places are in the pictures' pixels, as in COCO."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any


@dataclass(frozen=True, slots=True)
class AnnotatedImage:
    """A picture as the tool names it."""

    name: str
    shape: tuple[int, int] | None  # rows, cols; None = not given


@dataclass(frozen=True, slots=True)
class Annotation:
    """One annotation; its outline is read by `outlines.outline_of`."""

    label: str  # how a message names it
    image: AnnotatedImage
    category: str  # in lower case; "" = the file has no categories
    content: Mapping[str, Any]  # segmentation, bbox, as COCO has them

    @property
    def scored(self) -> bool:
        """Whether it has a score, as candidates of a network have; some tools keep it among the attributes."""
        attributes = self.content.get("attributes")
        return "score" in self.content or (isinstance(attributes, Mapping) and "score" in attributes)


@dataclass(frozen=True, slots=True)
class DrawnFile:
    """What the file of an annotation tool holds."""

    path: Path
    pictures: frozenset[str]  # as the tool names them
    categories: frozenset[str]  # in lower case
    annotations: tuple[Annotation, ...]
    answers: Mapping[str, str] = field(default_factory=dict)  # picture -> verdict given in the tool, in lower case

    @property
    def name(self) -> str:
        """The file's name."""
        return self.path.name
