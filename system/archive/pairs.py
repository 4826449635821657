"""The bilateral pair, the unit of inference: the same view of both breasts of one study."""

import pyarrow as pa

from system.records import Side, image_key

PAIRS = pa.schema(
    [
        ("pair_key", pa.int64()),  # xxh3 of study and view
        ("study_id", pa.string()),
        ("patient_id", pa.string()),
        ("view", pa.string()),
        ("left_id", pa.string()),  # "" where that breast is missing
        ("left_key", pa.int64()),  # 0 where that breast is missing
        ("left_sha", pa.string()),
        ("right_id", pa.string()),
        ("right_key", pa.int64()),
        ("right_sha", pa.string()),
    ]
)
_NO_IMAGE = {"image_id": "", "image_key": 0, "pixel_sha": ""}


def pair_table(images: pa.Table) -> pa.Table:
    """Return one row per study and view, sorted by pair_key; of repeated images of one breast and view the lowest image_id counts.

    images: rows of the archive's `images`
    """
    found: dict[tuple[str, str], dict[str, dict]] = {}
    columns = ["image_id", "image_key", "pixel_sha", "patient_id", "study_id", "side", "view"]
    for image in images.select(columns).sort_by("image_id").to_pylist():
        found.setdefault((image["study_id"], image["view"]), {}).setdefault(image["side"], image)
    rows = [_pair(study_id, view, sides) for (study_id, view), sides in found.items()]
    return pa.Table.from_pylist(rows, schema=PAIRS).sort_by("pair_key")


def _pair(study_id: str, view: str, sides: dict[str, dict]) -> dict:
    row = {
        "pair_key": image_key(f"{study_id}/{view}"),
        "study_id": study_id,
        "patient_id": next(iter(sides.values()))["patient_id"],
        "view": view,
    }
    for name, side in (("left", Side.LEFT), ("right", Side.RIGHT)):
        image = sides.get(side, _NO_IMAGE)
        row |= {f"{name}_id": image["image_id"], f"{name}_key": image["image_key"], f"{name}_sha": image["pixel_sha"]}
    return row
