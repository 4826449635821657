"""The sample index: which image teaches what, with which label, from which file."""

import math
from dataclasses import dataclass
from enum import IntEnum

import numpy as np
import pyarrow as pa

from system.records import Quadrant, Split


class Kind(IntEnum):
    """Why a sample is in the index."""

    STRONG_MASS = 0
    STRONG_FREE = 1
    TP = 2
    FP = 3
    FN = 4


POSITIVE = (Kind.STRONG_MASS, Kind.TP, Kind.FN)
STRONG = (Kind.STRONG_MASS, Kind.STRONG_FREE)


@dataclass(frozen=True)
class SampleIndex:
    """Columns of equal length, one row a sample, sorted by image key so that every worker sees the same order."""

    image_key: np.ndarray  # int64
    kind: np.ndarray  # uint8 of Kind
    p_mass: np.ndarray  # float32, 0 to 1: truth for strong samples, y for weak ones
    pixel_sha: list[str]
    auxiliary_sha: list[str]  # "" = no other breast
    mask_sha: list[str]  # strong samples with mass, else ""
    map_png: list[bytes | None]  # TP: the pseudo mask, probabilities or binary
    empty_masks: bool = False  # FP teach an empty mask

    def __len__(self) -> int:
        return len(self.image_key)

    def has_mask(self) -> np.ndarray:
        """Return which rows teach pixels, [N] bool."""
        return np.isin(self.kind, (*STRONG, Kind.TP, Kind.FP) if self.empty_masks else (*STRONG, Kind.TP))

    def positives(self) -> np.ndarray:
        """Return the rows that count as positive: strong with mass, TP, FN."""
        return np.flatnonzero(np.isin(self.kind, POSITIVE))

    def negatives(self) -> np.ndarray:
        """Return the rows that count as negative: strong without mass, FP."""
        return np.flatnonzero(~np.isin(self.kind, POSITIVE))

    def counts(self) -> dict[str, int]:
        """Return how many samples there are of each kind."""
        return {kind.name: int((self.kind == kind).sum()) for kind in Kind}


def keep_share(images: pa.Table, masks: pa.Table, *, share: float) -> pa.Table:
    """Return the images without the strong patients beyond `share`; a smaller share is always part of a larger one.

    share: of the strong patients, 0 to 1, kept alike among those with and without mass, in the order of their hashes
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
    """Return image_key, kind, p_mass, mask_sha of every image of a fully labelled split."""
    masked = {
        row["image_id"]: row["mask_sha"] for row in masks.select(["image_id", "mask_sha", "num_lesions"]).to_pylist() if row["num_lesions"]
    }
    rows = [row for row in images.select(["image_id", "image_key", "split"]).to_pylist() if row["split"] == split]
    shas = [masked.get(row["image_id"], "") for row in rows]
    return pa.table(
        {
            "image_key": pa.array([row["image_key"] for row in rows], pa.int64()),
            "kind": pa.array([Kind.STRONG_MASS if sha else Kind.STRONG_FREE for sha in shas], pa.uint8()),
            "p_mass": pa.array([1.0 if sha else 0.0 for sha in shas], pa.float32()),
            "mask_sha": pa.array(shas, pa.string()),
            "map_png": pa.nulls(len(rows), pa.binary()),
        }
    )


def outlined_rows(outlined: pa.Table) -> pa.Table:
    """Return the images that a reader has outlined as rows of the index. outlined: columns image_key, mask_sha."""
    count = len(outlined)
    return pa.table(
        {
            "image_key": outlined["image_key"],
            "kind": pa.repeat(pa.scalar(int(Kind.STRONG_MASS), pa.uint8()), count),
            "p_mass": pa.repeat(pa.scalar(1.0, pa.float32()), count),
            "mask_sha": outlined["mask_sha"],
            "map_png": pa.nulls(count, pa.binary()),
        }
    )


def pool_rows(pool: pa.Table, *, mask_labels: str, report_labels: str) -> pa.Table:
    """Return the members of a pool snapshot as rows of the index.

    mask_labels: soft takes M_p, hard takes M_b;  report_labels: soft takes y, hard y > 0.5
    """
    kinds = {Quadrant.TP: Kind.TP, Quadrant.FP: Kind.FP, Quadrant.FN: Kind.FN}
    p_mass = np.asarray(pool["y"], np.float32)
    if report_labels == "hard":
        p_mass = (p_mass > 0.5).astype(np.float32)
    return pa.table(
        {
            "image_key": pool["image_key"],
            "kind": pa.array([kinds[Quadrant(q)] for q in pool["quadrant"].to_pylist()], pa.uint8()),
            "p_mass": pa.array(p_mass),
            "mask_sha": pa.array([""] * len(pool), pa.string()),
            "map_png": pool["map_png" if mask_labels == "soft" else "mask_png"],
        }
    )


def make_index(rows: pa.Table, images: pa.Table, *, empty_masks: bool = False) -> SampleIndex:
    """Join sample rows with the images they name and with the same view of the other breast.

    rows: tables of `strong_rows` and `pool_rows`, concatenated;  images: the archive's table
    Raises ValueError when an image is in it twice: a strong image must never come back through a pool.
    """
    keys = np.asarray(rows["image_key"])
    if repeated := len(keys) - len(np.unique(keys)):
        raise ValueError(f"{repeated} images are strong and mined at once: the splits of this archive leak; ingest it anew")
    rows = rows.take(pa.array(np.argsort(keys, kind="stable")))
    columns = images.select(["image_key", "study_id", "side", "view", "pixel_sha"]).to_pylist()
    by_key = {row["image_key"]: row for row in columns}
    by_place = {(row["study_id"], row["view"], row["side"]): row["pixel_sha"] for row in columns}
    chosen = [by_key[key] for key in rows["image_key"].to_pylist()]
    other = {"L": "R", "R": "L"}
    return SampleIndex(
        image_key=np.asarray(rows["image_key"], np.int64),
        kind=np.asarray(rows["kind"], np.uint8),
        p_mass=np.asarray(rows["p_mass"], np.float32),
        pixel_sha=[row["pixel_sha"] for row in chosen],
        auxiliary_sha=[by_place.get((row["study_id"], row["view"], other[row["side"]]), "") for row in chosen],
        mask_sha=rows["mask_sha"].to_pylist(),
        map_png=rows["map_png"].to_pylist(),
        empty_masks=empty_masks,
    )
