"""What Label Studio and CVAT write in their own forms, after the exported candidates were imported and masses drawn."""

import xml.etree.ElementTree as ET
from collections.abc import Mapping, Sequence
from copy import deepcopy
from typing import Any

import numpy as np
from numpy.typing import NDArray

Box = Sequence[float]
"""x0, y0, x1, y1, px of the picture."""


def label_studio(
    tasks: Sequence[Mapping[str, Any]],
    boxes: Mapping[str, Sequence[Box]],
    *,
    answers: Mapping[str, str],
    sizes: Mapping[str, tuple[int, int]],
) -> list[dict[str, Any]]:
    """Return Label Studio's JSON: what was predicted is copied into the annotation, without a score.

    boxes, answers: by the end of the picture's name;  sizes: rows, cols, by the same
    """
    exported = []
    for number, task in enumerate(tasks, start=200):
        name = str(task["data"]["image"]).rpartition("/")[2]
        rows, cols = sizes[name]
        result = [deepcopy(each) | {"origin": "prediction"} for each in task["predictions"][0]["result"]]
        for each in result:
            each.pop("score")
        result += [_region(box, rows, cols, key) for key, box in enumerate(boxes.get(name, ()))]
        if name in answers:
            choice = {"id": "c", "type": "choices", "from_name": "verdict", "to_name": "picture"}
            result.append(choice | {"value": {"choices": [answers[name]]}})
        annotation = {"id": number, "result": result, "was_cancelled": False, "completed_by": 1}
        exported.append({"id": number, "data": task["data"], "annotations": [annotation], "predictions": []})
    return exported


def _region(box: Box, rows: int, cols: int, key: int) -> dict[str, Any]:
    x0, y0, x1, y1 = box
    place = {"x": x0 / cols * 100, "y": y0 / rows * 100}
    place |= {"width": (x1 - x0) / cols * 100, "height": (y1 - y0) / rows * 100, "rotation": 0}
    region = {"id": f"r{key}", "type": "rectanglelabels", "from_name": "box", "to_name": "picture", "origin": "manual"}
    region |= {"original_width": cols, "original_height": rows, "image_rotation": 0}
    return region | {"value": place | {"rectanglelabels": ["mass"]}}


def cvat(exported: str, boxes: Mapping[str, Sequence[Box]], *, answers: Mapping[str, str]) -> str:
    """Return CVAT's XML: shapes with two decimals, in a folder of the task."""
    root = ET.fromstring(exported)  # noqa: S314 - our own export
    for image in root.iter("image"):
        name = image.attrib["name"]
        image.attrib["name"] = f"share/{name}"
        for x0, y0, x1, y1 in boxes.get(name, ()):
            place = {edge: f"{at:.2f}" for edge, at in zip(("xtl", "ytl", "xbr", "ybr"), (x0, y0, x1, y1), strict=True)}
            ET.SubElement(image, "box", {"label": "mass", "source": "manual", "occluded": "0", "z_order": "0"} | place)
        if name in answers:
            ET.SubElement(image, "tag", {"label": answers[name], "source": "manual"})
    return ET.tostring(root, encoding="unicode")


def cvat_mask(mask: NDArray[np.bool_]) -> dict[str, str]:
    """Return the attributes of a mask: runs along the rows of its box, counted one by one."""
    rows, cols = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    part = mask[rows[0] : rows[-1] + 1, cols[0] : cols[-1] + 1]
    runs, inside = [0], False
    for pixel in part.ravel().tolist():
        if pixel != inside:
            runs.append(0)
            inside = pixel
        runs[-1] += 1
    place = {"left": cols[0], "top": rows[0], "width": part.shape[1], "height": part.shape[0]}
    return {"label": "mass", "rle": ", ".join(map(str, runs))} | {name: str(at) for name, at in place.items()}
