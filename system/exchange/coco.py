"""COCO JSON (cocodataset.org, object detection): readable by CVAT, FiftyOne, pycocotools and others."""

from collections.abc import Sequence
from typing import Any

from system.exchange.candidates import ImageCandidates

CATEGORY = {"id": 1, "name": "mass"}


def as_coco(images: Sequence[ImageCandidates], *, description: str) -> dict[str, Any]:
    """Return a data set whose annotations are candidates with a `score`.

    bbox: x, y, width, height, in source pixels
    """
    found = [(image, candidate) for image in images for candidate in image.candidates]
    return {
        "info": {"description": description},
        "images": [
            {"id": image.image_id, "file_name": image.file, "width": image.cols, "height": image.rows}
            for image in images
        ],
        "categories": [CATEGORY],
        "annotations": [
            {
                "id": number,
                "image_id": image.image_id,
                "category_id": CATEGORY["id"],
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
