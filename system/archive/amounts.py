"""How much of each kind of data an archive has: what decides whether a run can learn, choose and measure."""

from collections.abc import Mapping
from dataclasses import dataclass

import pyarrow as pa

from system.records import Split


@dataclass(frozen=True)
class Amount:
    """The images of one split, and the masses that are outlined in them."""

    num_images: int
    num_patients: int
    num_images_with_mass: int
    num_patients_with_mass: int
    num_lesions: int


def amounts(images: pa.Table, masks: pa.Table) -> Mapping[Split, Amount]:
    """Return the amount of each split. images, masks: the archive's tables."""
    lesions = dict(zip(masks["image_id"].to_pylist(), masks["num_lesions"].to_pylist(), strict=True))
    rows = images.select(["image_id", "patient_id", "split"]).to_pylist()
    found: dict[Split, Amount] = {}
    for split in Split:
        members = [row for row in rows if row["split"] == split]
        with_mass = [row for row in members if lesions.get(row["image_id"])]
        found[split] = Amount(
            num_images=len(members),
            num_patients=len({row["patient_id"] for row in members}),
            num_images_with_mass=len(with_mass),
            num_patients_with_mass=len({row["patient_id"] for row in with_mass}),
            num_lesions=sum(lesions[row["image_id"]] for row in with_mass),
        )
    return found
