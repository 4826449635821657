"""Assign every patient to training, validation or test: by keyed hash, stratified by mass, never by image."""

import math
from bisect import bisect_right
from dataclasses import dataclass
from itertools import accumulate

import pyarrow as pa
import pyarrow.compute as pc
import xxhash

from system.archive.config import SplitConfig
from system.errors import UserError
from system.records import Split

_SPLITS = (Split.STRONG, Split.WEAK, Split.VALIDATION, Split.TEST)


@dataclass(frozen=True, slots=True)
class Patient:
    """The facts about a patient that determine their split."""

    patient_id: str  # keyed hash: its order is the draw
    has_mass: bool
    has_truth: bool  # the places of all masses are known, in every image
    known: bool = True  # False: the source does not identify the patient, or the ID is of several people
    split: str = ""  # given by the source or by the archive; "" = to be drawn


def assign_splits(patients: list[Patient], *, config: SplitConfig) -> dict[str, Split]:
    """Return every patient's split.

    A split that is given stays. Without complete truth a patient is weak. Another image of an unknown patient could be
    in training, so an unknown patient is never held out: weak as well. The others are drawn by their hashed ids,
    patients with and without a mass separately.
    """
    splits = {patient.patient_id: Split(patient.split or Split.WEAK) for patient in patients}
    free = [patient for patient in patients if not patient.split and patient.has_truth and patient.known]
    for has_mass in (True, False):
        drawn = sorted(patient.patient_id for patient in free if patient.has_mass is has_mass)
        if config.draw == "by_count":
            splits |= dict(zip(drawn, _quotas(len(drawn), config=config), strict=True))
        else:
            splits |= {patient_id: _by_hash(patient_id, config=config) for patient_id in drawn}
    return splits


def share_of_patients(images: pa.Table, *, share: float) -> pa.Table:
    """Return the images of the first patients in the order of their hashes.

    The patients of a smaller share are among those of a larger one.

    images: of one split
    share: of the patients, above 0 to 1; at least one patient is kept
    """
    patients = sorted(set(images["patient_id"].to_pylist()))
    kept = patients[: math.ceil(round(share * len(patients), 9))]
    return images.filter(pc.field("patient_id").isin(kept))


def check_no_leak(images: pa.Table) -> None:
    """Raise UserError when a patient, or the pixels of one image, are in two splits.

    images: rows of the archive's `images`
    """
    for column, what in (("patient_id", "patients"), ("pixel_sha", "images")):
        pairs = images.group_by([column, "split"]).aggregate([])
        counts = pairs.group_by(column).aggregate([("split", "count")])
        if torn := sum(count > 1 for count in counts["split_count"].to_pylist()):
            raise UserError(
                f"{torn} {what} are in more than one split: they would be used for training and for testing; "
                "ingest again with one split each"
            )


def _by_hash(patient_id: str, *, config: SplitConfig) -> Split:
    """Return the split in whose part of 0 to 1 the patient's draw falls; the draw depends on the patient only."""
    draw = (xxhash.xxh3_64_intdigest(f"split {patient_id}".encode()) / 2**64 + config.rotate) % 1
    return _SPLITS[bisect_right(list(accumulate(_shares(config)[:-1])), draw)]


def _shares(config: SplitConfig) -> list[float]:
    return [config.strong, config.weak, config.validation, config.test]


def _quotas(number: int, *, config: SplitConfig) -> list[Split]:
    """Return `number` splits in a fixed order, their counts as near to the shares as whole numbers can be.

    The method is that of the largest remainder.
    """
    shares = dict(zip(_SPLITS, _shares(config), strict=True))
    counts = {split: int(number * share + 1e-9) for split, share in shares.items()}
    by_remainder = sorted(shares, key=lambda split: counts[split] - number * shares[split])
    for split in by_remainder[: number - sum(counts.values())]:
        counts[split] += 1
    quotas = [split for split, count in counts.items() for _ in range(count)]
    first = number - round(config.rotate * number)
    return quotas[first:] + quotas[:first]
