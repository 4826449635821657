"""COCO JSON (cocodataset.org, object detection): readable by CVAT, FiftyOne, pycocotools and others."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from system.exchange.candidates import ImageCandidates


@dataclass(frozen=True, slots=True)
class Category:
    """What an annotation stands for. Tools renumber annotations and drop keys, but they keep the category's name."""

    id: int
    name: str


MASS = Category(1, "mass")
CANDIDATE = Category(2, "candidate")  # of the network, beside masses that a person outlines


def as_coco(
    images: Sequence[ImageCandidates], *, description: str, category: Category = MASS, others: Sequence[Category] = ()
) -> dict[str, Any]:
    """Return a data set whose annotations are candidates with a `score`.

    bbox: x, y, width, height, in source pixels; `segmentation` and `licenses` are empty, but CVAT asks for them
    category: of the candidates;  others: categories that are listed for the annotations to come
    """
    found = [(image, candidate) for image in images for candidate in image.candidates]
    listed = sorted((category, *others), key=lambda each: each.id)
    return {
        "info": {"description": description},
        "licenses": [],
        "images": [
            {"id": image.image_id, "file_name": image.file, "width": image.cols, "height": image.rows}
            for image in images
        ],
        "categories": [{"id": each.id, "name": each.name} for each in listed],
        "annotations": [
            {
                "id": number,
                "image_id": image.image_id,
                "category_id": category.id,
                "segmentation": [],
                "bbox": _rounded((x0, y0, x1 - x0, y1 - y0)),
                "area": round(candidate.area_px, 2),
                "score": round(candidate.score, 6),
                "iscrowd": 0,
            }
            for number, (image, candidate) in enumerate(found, start=1)
            for x0, y0, x1, y1 in [candidate.box_px]
        ],
    }


def _rounded(values: Sequence[float]) -> list[float]:
    return [round(value, 2) for value in values]
