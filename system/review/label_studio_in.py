"""Read the JSON that Label Studio exports: a list of tasks with annotations, whose regions are in percent.

Format: labelstud.io/guide/task_format, labelstud.io/guide/export ("JSON", not "JSON-MIN").
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from system.errors import Mistakes, UserError
from system.exchange.coco import CANDIDATE, MASS
from system.exchange.label_studio import BOXES, OUTLINES, VERDICT
from system.review.annotations import AnnotatedImage, Annotation, DrawnFile

_REGIONS = {"rectanglelabels": "box", "polygonlabels": "polygon"}


@dataclass(slots=True)
class _Found:
    """What was read so far."""

    pictures: set[str] = field(default_factory=set)
    categories: set[str] = field(default_factory=set)
    annotations: list[Annotation] = field(default_factory=list)
    answers: dict[str, str] = field(default_factory=dict)


def read_label_studio(tasks: list[Any], path: Path, *, mistakes: Mistakes) -> DrawnFile:
    """Return the content of an export; regions that cannot be read are added to the mistakes.

    tasks: the file's JSON
    """
    found = _Found()
    for number, task in enumerate(tasks, start=1):
        try:
            _read_task(task, number, found, mistakes=mistakes, file=path.name)
        except UserError as error:
            mistakes.add(f"{path.name}: {error}")
    return DrawnFile(
        path, frozenset(found.pictures), frozenset(found.categories), tuple(found.annotations), found.answers
    )


def _read_task(task: Any, number: int, found: _Found, *, mistakes: Mistakes, file: str) -> None:
    data = task.get("data") if isinstance(task, dict) else None
    picture = data.get("image") if isinstance(data, dict) else None
    if not isinstance(picture, str) or not isinstance(task.get("annotations"), list):
        raise UserError(f"task number {number} has no data.image or no annotations: export the project as JSON")
    name = f"task {str(task.get('id', number))[:20]}"
    found.pictures.add(picture)
    given = [each for each in task["annotations"] if isinstance(each, dict) and not each.get("was_cancelled")]
    if len(given) > 1:
        raise UserError(f"{name} has {len(given)} annotations, of several people or tries: keep one")
    for region in _regions_of(given):
        try:
            _read_region(region, picture, name, found)
        except UserError as error:
            mistakes.add(f"{file}: {name}, region {str(region.get('id'))[:20]}: {error}")
    for region in _regions_of(task.get("predictions")):
        found.categories |= _own_labels(region)


def _regions_of(givens: Any) -> Iterator[Mapping[str, Any]]:
    """Give the regions of annotations or predictions; an export may name predictions by their ids only."""
    for given in givens if isinstance(givens, list) else []:
        regions = given.get("result") if isinstance(given, dict) else None
        yield from (region for region in regions or [] if isinstance(region, dict))


def _own_labels(region: Mapping[str, Any]) -> set[str]:
    """Return the labels that a project with this region has: the exported interface has both."""
    return {MASS.name, CANDIDATE.name} if region.get("from_name") in (BOXES, OUTLINES) else set()


def _read_region(region: Mapping[str, Any], picture: str, task: str, found: _Found) -> None:
    value, kind = region.get("value"), region.get("type")
    if not isinstance(value, dict):
        return
    if kind == "choices":
        if region.get("from_name") == VERDICT and isinstance(value.get("choices"), list) and value["choices"]:
            found.answers[picture] = str(value["choices"][0]).strip().lower()
        return
    if kind not in _REGIONS:
        if any(key in value for key in ("x", "points", "rle", "vertices")):
            raise UserError(f"{str(kind)[:20]} is not read: draw a box or a polygon, or export as COCO")
        return  # a comment, a rating
    labels = value.get(kind)
    if not isinstance(labels, list) or len(labels) != 1:
        raise UserError("it has no label, or several: give it one")
    category = str(labels[0]).strip().lower()
    found.categories |= {category} | _own_labels(region)
    rows, cols = _shape(region)
    content = _box(value, rows, cols) if kind == "rectanglelabels" else _polygon(value, rows, cols)
    content |= {"score": region["score"]} if region.get("score") is not None else {}
    label = f"{task}, region {str(region.get('id'))[:20]}"
    found.annotations.append(Annotation(label, AnnotatedImage(picture, (rows, cols)), category, content))


def _shape(region: Mapping[str, Any]) -> tuple[int, int]:
    rows, cols = region.get("original_height"), region.get("original_width")
    if type(rows) is not int or type(cols) is not int or rows <= 0 or cols <= 0:
        raise UserError("it has no original_width and original_height: export the project as JSON")
    if region.get("image_rotation"):
        raise UserError("its picture was turned: turn it back, and draw again")
    return rows, cols


def _box(value: Mapping[str, Any], rows: int, cols: int) -> dict[str, Any]:
    if value.get("rotation"):
        raise UserError("the box is turned: draw it upright, or a polygon")
    edges = [_number(value.get(name)) for name in ("x", "y", "width", "height")]
    return {"bbox": [at * size / 100 for at, size in zip(edges, (cols, rows, cols, rows), strict=True)]}


def _polygon(value: Mapping[str, Any], rows: int, cols: int) -> dict[str, Any]:
    points = value.get("points")
    if not isinstance(points, list) or not all(isinstance(point, list) and len(point) == 2 for point in points):
        raise UserError("its points are no list of x and y")
    places = [_number(at) * size / 100 for point in points for at, size in zip(point, (cols, rows), strict=True)]
    return {"segmentation": [places]}


def _number(value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise UserError("its places are no numbers")
    return float(value)
