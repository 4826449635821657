"""The bilateral pair, the unit of inference: the same view of both breasts of one study."""

from collections import Counter
from typing import Any

import pyarrow as pa

from system.records import Side, image_key
from system.schemas import PAIRS

BREAST = ["patient_id", "study_id", "view", "side"]  # columns of `images` that name what is shown
_NO_IMAGE = {"image_id": "", "image_key": 0, "pixel_sha": ""}


def pair_table(images: pa.Table) -> pa.Table:
    """Return one row per study and view, sorted by pair_key: who is looked at beside whom, wherever a pair is wanted.

    Where a breast was taken twice in one view, the second images of both breasts make a pair of their own, and so do
    the third, and so on; repeats are counted in the order of their image_id.
    A study whose images are of two patients, as older archives may hold, is two studies here. So the pairs of some
    patients are the same whether or not others are in the table.

    images: rows of the archive's `images`, of each patient all or none
    """
    found: dict[tuple[str, str, str, int], dict[str, dict[str, Any]]] = {}
    seen: Counter[tuple[str, str, str, str]] = Counter()
    columns = ["image_id", "image_key", "pixel_sha", *BREAST]
    for image in images.select(columns).sort_by("image_id").to_pylist():
        patient, study, view, side = (image[name] for name in BREAST)
        breast = (patient, study, view, side)
        found.setdefault((patient, study, view, seen[breast]), {})[side] = image
        seen[breast] += 1
    rows = [_pair(study, view, repeat, sides) for (_, study, view, repeat), sides in found.items()]
    return pa.Table.from_pylist(rows, schema=PAIRS).sort_by("pair_key")


def other_breasts(images: pa.Table) -> dict[int, str]:
    """Return the other breast that each image is looked at with, as in `pair_table`: image_key -> pixel_sha.

    Images without one are left out.

    images: rows of the archive's `images`
    """
    columns = ["left_key", "left_sha", "right_key", "right_sha"]
    both = [row for row in pair_table(images).select(columns).to_pylist() if row["left_sha"] and row["right_sha"]]
    return {row["left_key"]: row["right_sha"] for row in both} | {row["right_key"]: row["left_sha"] for row in both}


def num_repeats(images: pa.Table) -> int:
    """Return how many images show a breast in a view that its study has already; each makes a pair of its own.

    images: rows of the archive's `images`
    """
    return images.num_rows - images.group_by(BREAST).aggregate([]).num_rows


def _pair(study_id: str, view: str, repeat: int, sides: dict[str, dict[str, Any]]) -> dict[str, Any]:
    row = {
        "pair_key": image_key(f"{study_id}/{view}" + (f"/{repeat}" if repeat else "")),
        "study_id": study_id,
        "patient_id": next(iter(sides.values()))["patient_id"],
        "view": view,
    }
    for name, side in (("left", Side.LEFT), ("right", Side.RIGHT)):
        image = sides.get(side, _NO_IMAGE)
        row |= {f"{name}_id": image["image_id"], f"{name}_key": image["image_key"], f"{name}_sha": image["pixel_sha"]}
    return row
