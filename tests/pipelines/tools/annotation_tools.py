"""What annotation tools write after they have imported the exported candidates and a radiologist has drawn masses.

Each function does what the source of the named version does to names, ids, categories, scores, boxes and outlines.
"""

from collections.abc import Callable, Mapping, Sequence
from itertools import groupby
from pathlib import PurePosixPath
from typing import Any

import numpy as np
from numpy.typing import NDArray

Content = dict[str, Any]
Polygons = list[list[float]]
Shapes = Mapping[str, Sequence[Polygons]]
"""By picture: the masses that were drawn, each of one or more polygons."""

Tool = Callable[[Content, Shapes], Content]
"""The exported page and what was drawn -> the tool's file."""


def cvat(page: Content, drawn: Shapes) -> Content:
    """CVAT 2 (datumaro's exporter, COCO 1.0): new ids from 1, no keys but the label's own, empty sizes filled in."""
    labels = ["mass", "candidate"]
    annotations = [
        {
            "id": number,
            "image_id": image_id,
            "category_id": 1 + labels.index(label),
            "segmentation": polygons,
            "area": 1.0,
            "bbox": [round(float(edge), 2) for edge in bbox],
            "iscrowd": 0,
            "attributes": {"occluded": False, "rotation": 0.0},
        }
        for number, (image_id, label, bbox, polygons) in enumerate(_objects(page, drawn), start=1)
    ]
    images = [image | {"license": 0, "flickr_url": "", "coco_url": "", "date_captured": 0} for image in page["images"]]
    categories = [{"id": 1 + place, "name": name, "supercategory": ""} for place, name in enumerate(labels)]
    head = {"licenses": [{"name": "", "id": 0, "url": ""}], "info": {"contributor": "", "year": ""}}
    return head | {"categories": categories, "images": images, "annotations": annotations}


def cvat_masks(page: Content, drawn: Shapes) -> Content:
    """CVAT 2 with the brush: a mask is a plain run-length code and `iscrowd` is 1; its images lie in no folder."""
    written = cvat(page, drawn)
    sizes = {image["id"]: (image["height"], image["width"]) for image in page["images"]}
    for annotation in written["annotations"]:
        if annotation["segmentation"]:
            mask = pixels_in(annotation["segmentation"], shape=sizes[annotation["image_id"]])
            annotation |= {"segmentation": runs_of(mask), "iscrowd": 1}
    for image in written["images"]:
        image["file_name"] = PurePosixPath(image["file_name"]).name
    return written


def label_studio(page: Content, drawn: Shapes) -> Content:
    """Label Studio 1.16 on Windows: ids from 0, categories by alphabet from 0, uploads with a random prefix.

    Places are kept in percent; those of boxes are cut to whole pixels. (HumanSignal/label-studio issue 7294)
    """
    sizes = {image["id"]: (image["width"], image["height"]) for image in page["images"]}
    objects = list(_objects(page, drawn))
    used = sorted({image_id for image_id, *_ in objects})
    annotations = []
    for number, (image_id, label, bbox, polygons) in enumerate(objects):
        width, height = sizes[image_id]
        if polygons:  # one polygon each: it has no groups
            segmentation = [[_through_percent(at, (width, height)[place % 2]) for place, at in enumerate(polygons[0])]]
            box = bbox
        else:
            segmentation, box = (
                [],
                [int(at / size * 100 / 100 * size) for at, size in zip(bbox, 2 * sizes[image_id], strict=True)],
            )
        annotation = {"id": number, "image_id": used.index(image_id), "category_id": ["candidate", "mass"].index(label)}
        annotations.append(
            annotation | {"segmentation": segmentation, "bbox": box, "ignore": 0, "iscrowd": 0, "area": 1}
        )
    names = {image["id"]: PurePosixPath(image["file_name"]).name for image in page["images"]}
    images = [
        {"width": sizes[image_id][0], "height": sizes[image_id][1], "id": place}
        | {"file_name": rf"..\..\label-studio\label-studio\media\upload\4\{image_id:07x}a-{names[image_id]}"}
        for place, image_id in enumerate(used)
    ]
    return {
        "images": images,
        "categories": [{"id": 0, "name": "candidate"}, {"id": 1, "name": "mass"}],
        "annotations": annotations,
        "info": {"version": "1.0", "contributor": "Label Studio"},
    }


def label_studio_local(page: Content, drawn: Shapes) -> Content:
    """Label Studio 1.8 with local storage: the file's name is the encoded address of the picture."""
    written = label_studio(page, drawn)
    for image in written["images"]:
        name = image["file_name"].rpartition("-")[2]
        image["file_name"] = f"/data/local-files/?d=my%20review%2Fpictures%2F{name}"
    return written


def fiftyone(page: Content, drawn: Shapes) -> Content:
    """FiftyOne 1 (COCODetectionDataset): class 0 is called "0", scores stay, polygons are cut to whole pixels."""
    classes = ["0", "mass", "candidate"]
    annotations = []
    for number, (image_id, label, bbox, polygons) in enumerate(_objects(page, drawn), start=1):
        annotation = {
            "id": number,
            "image_id": image_id,
            "category_id": classes.index(label),
            "bbox": bbox,
            "area": 1.0,
        }
        annotation |= {"segmentation": [[int(at) for at in part] for part in polygons]} if polygons else {}
        annotations.append(annotation | ({"score": 0.8, "iscrowd": 0} if label == "candidate" else {}))
    images = [
        image | {"file_name": PurePosixPath(image["file_name"]).name, "license": None} for image in page["images"]
    ]
    categories = [{"id": place, "name": name, "supercategory": None} for place, name in enumerate(classes)]
    return {
        "info": {"year": ""},
        "licenses": [],
        "categories": categories,
        "images": images,
        "annotations": annotations,
    }


def labelme(page: Content, drawn: Shapes) -> Content:
    """labelme 5 through labelme2coco 0.2 (sahi): it has no candidates, and lists only the categories that were used."""
    annotations = [
        {"iscrowd": 0, "image_id": image_id, "bbox": [1, 2, 3, 4], "segmentation": polygons, "category_id": 0}
        | {"id": number, "area": 10}
        for number, (image_id, label, _, polygons) in enumerate(_objects(page, drawn), start=1)
        if label == "mass"
    ]
    images = [image | {"file_name": image["file_name"].replace("/", "\\")} for image in page["images"]]
    return {
        "images": images,
        "annotations": annotations,
        "categories": [{"id": 0, "name": "mass", "supercategory": "mass"}],
    }


def coco_annotator(page: Content, drawn: Shapes) -> Content:
    """COCO Annotator 0.11: what is a box alone is not imported (issue 452); ids go on in its database."""
    sizes = {image["id"]: {"width": image["width"], "height": image["height"]} for image in page["images"]}
    annotations = [
        {"id": number, "image_id": 900 + image_id, "category_id": 12, "segmentation": polygons, "bbox": bbox, "area": 1}
        | sizes[image_id]
        | {"iscrowd": False, "isbbox": False, "creator": "R1", "color": "#d6b32c", "metadata": {}, "milliseconds": 830}
        for number, (image_id, label, bbox, polygons) in enumerate(_objects(page, drawn), start=57)
        if label == "mass"
    ]
    images = []
    for image in page["images"]:
        name = PurePosixPath(image["file_name"]).name
        images.append(
            sizes[image["id"]]
            | {"id": 900 + image["id"], "dataset_id": 3, "path": f"/datasets/review/{name}", "file_name": name}
            | {"annotated": True, "deleted": False}
        )
    categories = [
        {"id": 12, "name": "mass", "supercategory": "", "color": "#a60f2f", "metadata": {}, "keypoint_colors": []},
        {"id": 13, "name": "candidate", "supercategory": "", "color": "#a60f20", "metadata": {}, "keypoint_colors": []},
    ]
    return {"images": images, "categories": categories, "annotations": annotations}


def make_sense(page: Content, drawn: Shapes) -> Content:
    """Makesense.ai 1.11 (polygons): images without a polygon are left out and the others counted anew; ids from 0."""
    objects = [
        (image_id, bbox, polygons) for image_id, label, bbox, polygons in _objects(page, drawn) if label == "mass"
    ]
    used = sorted({image_id for image_id, *_ in objects})
    by_id = {image["id"]: image for image in page["images"]}
    images = [
        {"id": place, "width": by_id[image_id]["width"], "height": by_id[image_id]["height"]}
        | {"file_name": PurePosixPath(by_id[image_id]["file_name"]).name}
        for place, image_id in enumerate(used, start=1)
    ]
    annotations = [
        {"id": number, "iscrowd": 0, "image_id": 1 + used.index(image_id), "category_id": 1, "bbox": bbox, "area": 1}
        | {"segmentation": polygons}
        for number, (image_id, bbox, polygons) in enumerate(objects)
    ]
    categories = [{"id": 1, "name": "mass"}, {"id": 2, "name": "candidate"}]
    return {
        "info": {"description": "my-project"},
        "images": images,
        "annotations": annotations,
        "categories": categories,
    }


def runs_of(mask: NDArray[np.bool_]) -> Content:
    """Return the plain run-length code of a mask: runs down the columns, the first one outside."""
    runs = [(value, len(list(group))) for value, group in groupby(mask.ravel(order="F").tolist())]
    counts = [0] * bool(runs[0][0]) + [length for _, length in runs]
    return {"counts": counts, "size": list(mask.shape)}


def pixels_in(polygons: Polygons, *, shape: tuple[int, int]) -> NDArray[np.bool_]:
    """Return the pixels whose centres lie in a polygon, one by one, by the number of edges to their right."""
    mask = np.zeros(shape, bool)
    for part in polygons:
        corners = list(zip(part[::2], part[1::2], strict=True))
        for row, col in np.ndindex(shape):
            x, y, inside = col + 0.5, row + 0.5, False
            for (x0, y0), (x1, y1) in zip(corners, [*corners[1:], corners[0]], strict=True):
                if (y0 > y) != (y1 > y) and x < x0 + (y - y0) * (x1 - x0) / (y1 - y0):
                    inside = not inside
            mask[row, col] |= inside
    return mask


def _objects(page: Content, drawn: Shapes) -> list[tuple[int, str, list[float], Polygons]]:
    """Return image id, label, box and polygons of all that the tool holds: candidates first, masses after them."""
    proposed = [(each["image_id"], "candidate", list(each["bbox"]), []) for each in page["annotations"]]
    ids = {image["file_name"]: image["id"] for image in page["images"]}
    masses = [(ids[name], "mass", _around(polygons), polygons) for name, shapes in drawn.items() for polygons in shapes]
    return sorted(proposed, key=lambda each: each[0]) + masses


def _around(polygons: Polygons) -> list[float]:
    x, y = [at for part in polygons for at in part[::2]], [at for part in polygons for at in part[1::2]]
    return [min(x), min(y), max(x) - min(x), max(y) - min(y)]


def _through_percent(at: float, size: int) -> float:
    return (at / size * 100) / 100 * size
