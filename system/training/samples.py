"""The sample index: which image trains what, with which label, from which file."""

import math
from dataclasses import dataclass
from enum import IntEnum

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from system.archive import other_breasts
from system.errors import UserError
from system.records import Quadrant, Split


class SampleRole(IntEnum):
    """Why a sample is in the index. The last three are quadrants of mining (docs/method.md, One round)."""

    STRONG_MASS = 0
    STRONG_FREE = 1
    TP = 2  # report and map agree on a mass
    FP = 3  # the map has a mass, the report has none
    FN = 4  # the report has a mass, the map has none


POSITIVE = (SampleRole.STRONG_MASS, SampleRole.TP, SampleRole.FN)
NEGATIVE = (SampleRole.STRONG_FREE, SampleRole.FP)
STRONG = (SampleRole.STRONG_MASS, SampleRole.STRONG_FREE)


@dataclass(frozen=True)
class SampleIndex:
    """Columns of equal length, one row a sample, sorted by image key so that every worker has the same order."""

    image_key: np.ndarray  # int64
    role: np.ndarray  # uint8 of SampleRole
    p_mass: np.ndarray  # float32, 0 to 1: truth for strong samples, the label for weak ones
    pixel_sha: list[str]
    auxiliary_sha: list[str]  # "" = no other breast
    mask_sha: list[str]  # strong samples with mass, else ""
    map_png: list[bytes | None]  # TP: the pseudo mask, probabilities or binary
    empty_masks: bool = False  # FP train an empty mask

    def __len__(self) -> int:
        return len(self.image_key)

    def has_mask(self) -> np.ndarray:
        """Return which rows train the mask, [N] bool."""
        roles = (*STRONG, SampleRole.TP, SampleRole.FP) if self.empty_masks else (*STRONG, SampleRole.TP)
        return np.isin(self.role, roles)

    def rows_of(self, *roles: SampleRole) -> np.ndarray:
        """Return the rows of these roles, rising."""
        return np.flatnonzero(np.isin(self.role, roles))

    def counts(self) -> dict[str, int]:
        """Return how many samples there are of each role."""
        return {role.name: int((self.role == role).sum()) for role in SampleRole}


def keep_share(images: pa.Table, masks: pa.Table, *, share: float) -> pa.Table:
    """Return the images without the strong patients beyond `share`; a smaller share is always part of a larger one.

    images, masks: the archive's tables
    share: of the strong patients, 0 to 1; the same among those with and without a mass, in the order of their hashes
    """
    masked = {row["image_id"] for row in masks.to_pylist() if row["num_lesions"]}
    has_mass: dict[str, bool] = {}
    for row in images.select(["image_id", "patient_id", "split"]).to_pylist():
        if row["split"] == Split.STRONG:
            has_mass[row["patient_id"]] = has_mass.get(row["patient_id"], False) or row["image_id"] in masked
    kept: set[str] = set()
    for stratum in (True, False):
        patients = sorted(patient for patient, mass in has_mass.items() if mass is stratum)
        kept.update(patients[: math.ceil(round(share * len(patients), 9))])
    chosen = [
        split != Split.STRONG or patient in kept
        for patient, split in zip(images["patient_id"].to_pylist(), images["split"].to_pylist(), strict=True)
    ]
    return images.filter(pa.array(chosen))


def strong_rows(images: pa.Table, masks: pa.Table, *, split: Split = Split.STRONG) -> pa.Table:
    """Return image_key, role, p_mass, mask_sha, map_png of every image of an annotated split.

    images, masks: the archive's tables
    """
    masked = {
        row["image_id"]: row["mask_sha"]
        for row in masks.select(["image_id", "mask_sha", "num_lesions"]).to_pylist()
        if row["num_lesions"]
    }
    rows = [row for row in images.select(["image_id", "image_key", "split"]).to_pylist() if row["split"] == split]
    shas = [masked.get(row["image_id"], "") for row in rows]
    return pa.table(
        {
            "image_key": pa.array([row["image_key"] for row in rows], pa.int64()),
            "role": pa.array([SampleRole.STRONG_MASS if sha else SampleRole.STRONG_FREE for sha in shas], pa.uint8()),
            "p_mass": pa.array([1.0 if sha else 0.0 for sha in shas], pa.float32()),
            "mask_sha": pa.array(shas, pa.string()),
            "map_png": pa.nulls(len(rows), pa.binary()),
        }
    )


def outlined_rows(outlined: pa.Table) -> pa.Table:
    """Return weak images in which a radiologist has outlined a mass, as rows of the index.

    outlined: schemas.OUTLINED
    """
    count = len(outlined)
    return pa.table(
        {
            "image_key": outlined["image_key"],
            "role": pa.repeat(pa.scalar(int(SampleRole.STRONG_MASS), pa.uint8()), count),
            "p_mass": pa.repeat(pa.scalar(1.0, pa.float32()), count),
            "mask_sha": outlined["mask_sha"],
            "map_png": pa.nulls(count, pa.binary()),
        }
    )


def pool_rows(pool: pa.Table, *, mask_labels: str, report_labels: str, disputed: bool = True) -> pa.Table:
    """Return the images of a pool as rows of the index.

    pool: schemas.POOL
    disputed: also those whose report says no mass while the map is surer of one than half of TP
    mask_labels: soft takes M_p, hard takes M_b
    report_labels: soft takes p_mass, hard takes p_mass > 0.5; hard_before was cut when it was mined
    """
    if not disputed:
        pool = pool.filter(pc.invert(pool["disputed"]))
    roles = {Quadrant.TP: SampleRole.TP, Quadrant.FP: SampleRole.FP, Quadrant.FN: SampleRole.FN}
    p_mass = np.asarray(pool["p_mass"], np.float32)
    if report_labels == "hard":
        p_mass = (p_mass > 0.5).astype(np.float32)
    return pa.table(
        {
            "image_key": pool["image_key"],
            "role": pa.array([roles[Quadrant(q)] for q in pool["quadrant"].to_pylist()], pa.uint8()),
            "p_mass": pa.array(p_mass),
            "mask_sha": pa.array([""] * len(pool), pa.string()),
            "map_png": pool["map_png" if mask_labels == "soft" else "mask_png"],
        }
    )


def make_index(rows: pa.Table, images: pa.Table, *, empty_masks: bool = False) -> SampleIndex:
    """Join sample rows with the images they name and with the same view of the other breast.

    rows: tables of `strong_rows`, `outlined_rows` and `pool_rows`, concatenated
    images: the archive's table
    empty_masks: FP train an empty mask
    Raises UserError when an image is in the rows twice: a strong image must never come back through a pool.
    """
    keys = np.asarray(rows["image_key"])
    if repeated := len(keys) - len(np.unique(keys)):
        raise UserError(
            f"{repeated} images are strong and mined at once: the splits of this archive leak; ingest it anew"
        )
    rows = rows.take(pa.array(np.argsort(keys, kind="stable")))
    sha_of = dict(zip(images["image_key"].to_pylist(), images["pixel_sha"].to_pylist(), strict=True))
    others, chosen = other_breasts(images), rows["image_key"].to_pylist()
    return SampleIndex(
        image_key=np.asarray(rows["image_key"], np.int64),
        role=np.asarray(rows["role"], np.uint8),
        p_mass=np.asarray(rows["p_mass"], np.float32),
        pixel_sha=[sha_of[key] for key in chosen],
        auxiliary_sha=[others.get(key, "") for key in chosen],
        mask_sha=rows["mask_sha"].to_pylist(),
        map_png=rows["map_png"].to_pylist(),
        empty_masks=empty_masks,
    )
