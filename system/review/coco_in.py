"""Read the COCO JSON that annotation tools write. Ids may be numbers or texts, and begin anywhere."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from system.errors import Mistakes, UserError
from system.files.text_form import decode
from system.review.annotations import AnnotatedImage, Annotation, DrawnFile


def read_coco(path: Path, *, mistakes: Mistakes) -> DrawnFile:
    """Return the content of a COCO file; what belongs to nothing is added to the mistakes.

    Like a table it may be in UTF-8, UTF-16, GB18030 or Latin-1.

    Raises UserError for a file that is no COCO JSON.
    """
    try:
        data = json.loads(decode(path.read_bytes(), name=path.name).content)
    except (ValueError, RecursionError) as error:
        raise UserError(f"{path.name} is no COCO file ({error}): export it as COCO JSON") from None
    return of_coco(data, path, mistakes=mistakes)


def of_coco(data: Any, path: Path, *, mistakes: Mistakes) -> DrawnFile:
    """Return the content of a COCO file whose JSON was read; as `read_coco`."""
    for key in ("images", "annotations"):
        if not isinstance(data, dict) or not isinstance(data.get(key), list):
            raise UserError(f"{path.name} is no COCO file (it has no list {key!r}): export it as COCO JSON")
    images = _images(data["images"], file=path.name, mistakes=mistakes)
    categories = _categories(data.get("categories") or [], file=path.name, mistakes=mistakes)
    found = [
        _annotation(raw, number, images=images, categories=categories)
        for number, raw in enumerate(data["annotations"], start=1)
    ]
    for annotation in found:
        if isinstance(annotation, str):
            mistakes.add(f"{path.name}: {annotation}")
    kept = tuple(annotation for annotation in found if isinstance(annotation, Annotation))
    pictures = frozenset(image.name for image in images.values())
    return DrawnFile(path, pictures, frozenset(categories.values()), kept)


def _images(raws: list[Any], *, file: str, mistakes: Mistakes) -> dict[str, AnnotatedImage]:
    """Return the images by id."""
    found: dict[str, AnnotatedImage] = {}
    for number, raw in enumerate(raws, start=1):
        name = raw.get("file_name") if isinstance(raw, dict) else None
        if not isinstance(name, str) or not name or "id" not in raw:
            mistakes.add(f"{file}: image number {number} has no id or no file_name")
            continue
        image = AnnotatedImage(name, _shape(raw))
        if found.setdefault(str(raw["id"]), image).name != name:
            mistakes.add(f"{file}: image number {number} has the id of another image")
    return found


def _shape(raw: Mapping[str, Any]) -> tuple[int, int] | None:
    """Return rows and columns; tools that do not know them leave them out, or write null, 0 or -1."""
    try:
        rows, cols = int(raw["height"]), int(raw["width"])
    except (KeyError, TypeError, ValueError, OverflowError):
        return None
    return (rows, cols) if rows > 0 and cols > 0 else None


def _categories(raws: Any, *, file: str, mistakes: Mistakes) -> dict[str, str]:
    """Return the categories' names by id."""
    found: dict[str, str] = {}
    for raw in raws if isinstance(raws, list) else [raws]:
        if not isinstance(raw, dict) or "id" not in raw or not isinstance(raw.get("name"), str):
            mistakes.add(f"{file}: a category has no id or no name")
            continue
        name = raw["name"].strip().lower()
        if found.setdefault(str(raw["id"]), name) != name:
            mistakes.add(f"{file}: two categories have the id {str(raw['id'])[:20]}")
    return found


def _annotation(
    raw: Any, number: int, *, images: Mapping[str, AnnotatedImage], categories: Mapping[str, str]
) -> Annotation | str:
    """Return an annotation, or what is wrong with it."""
    if not isinstance(raw, dict):
        return f"annotation number {number} is no object"
    label = f"annotation {str(raw['id'])[:20]}" if "id" in raw else f"annotation number {number}, which has no id"
    image = images.get(str(raw.get("image_id")))
    if image is None:
        return f"{label}: its image_id {str(raw.get('image_id'))[:20]} is none of the file's images"
    category = categories.get(str(raw.get("category_id")))
    if categories and category is None:
        return f"{label}: its category_id {str(raw.get('category_id'))[:20]} is none of the file's categories"
    return Annotation(label, image, category or "", raw)
