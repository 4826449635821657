"""What is said of images after they were inferred: labels of corrected and withdrawn reports, and readers' verdicts.

A later word beats an earlier one of its kind, a verdict beats every label. What counts is what was said last, not what arrived last, so any
order of arrival and any repeats come to the same.
"""

from dataclasses import dataclass
from enum import StrEnum

import numpy as np
import xxhash
from numpy.typing import NDArray

_ROW = np.dtype(
    [("key", np.int64), ("order", np.int64), ("round", np.int32), ("p_mass", np.float32), ("masked", np.bool_)]
)
_UNSAID = np.float32(-1)  # stands for NaN in rows, because NaN is unlike itself


class UpdateSource(StrEnum):
    """Who spoke; in the order in which they are applied."""

    LABEL = "label"  # the report, read again or taken back
    VERDICT = "verdict"  # a reader who looked at the image


@dataclass(frozen=True, slots=True)
class LabelUpdate:
    """One message of later words, one row per image."""

    source: UpdateSource
    round: int  # from which on they count, from 1: the one that was being mined when they came
    keys: NDArray[np.int64]  # [N] records.image_key
    p_mass: NDArray[
        np.float32
    ]  # [N] probability of a mass, 0 to 1; NaN: the report is withdrawn, or the reader is unsure
    order: NDArray[
        np.int64
    ]  # [N] version of the report, or time of the verdict: of several words the one with the highest counts
    masked: NDArray[np.bool_]  # [N] the verdict carries a mask: the image belongs to the strong set and to no pool

    def __len__(self) -> int:
        """Return the number of images."""
        return len(self.keys)

    def arrays(self) -> tuple[NDArray, NDArray, NDArray, NDArray]:
        """Return the columns in the order of the fields."""
        return self.keys, self.p_mass, self.order, self.masked

    def digest(self) -> str:
        """Return a digest of all that it says."""
        digest = xxhash.xxh3_64(f"{self.source} {self.round}".encode())
        for array in self.arrays():
            digest.update(array.tobytes())
        return digest.hexdigest()


class LabelUpdates:
    """All later words of one kind."""

    def __init__(self) -> None:
        self._rows = np.empty(0, _ROW)

    def wants(self, update: LabelUpdate) -> bool:
        """Say whether any of the words is new. Raises ValueError for a malformed message."""
        return len(self._with(update)) > len(self._rows)

    def add(self, update: LabelUpdate) -> None:
        """Take words in. Raises ValueError for a malformed message."""
        self._rows = self._with(update)

    def _with(self, update: LabelUpdate) -> NDArray[np.void]:
        check(update)
        rows = np.empty(len(update), _ROW)
        rows["key"], rows["order"], rows["round"], rows["masked"] = (
            update.keys,
            update.order,
            update.round,
            update.masked,
        )
        rows["p_mass"] = np.where(np.isnan(update.p_mass), _UNSAID, update.p_mass)
        return np.unique(np.concatenate([self._rows, rows]))

    def last(self, round_number: int) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
        """Return the images spoken of up to a round by rising key, and the p_mass that counts for each; NaN: none, or not to be pooled."""
        rows = self._rows[self._rows["round"] <= round_number]  # sorted by key, order, round, p_mass, masked
        rows = rows[np.append(rows["key"][1:] != rows["key"][:-1], True)] if len(rows) else rows
        return rows["key"], np.where(rows["masked"] | (rows["p_mass"] == _UNSAID), np.float32(np.nan), rows["p_mass"])


def check(update: LabelUpdate) -> None:
    """Raise ValueError for a malformed one."""
    types = [array.dtype for array in update.arrays()]
    if len({len(array) for array in update.arrays()}) != 1 or types != [np.int64, np.float32, np.int64, np.bool_]:
        raise ValueError(f"later words need int64, float32, int64, bool columns of one length, got {types}")
    if update.round < 1:
        raise ValueError(f"rounds count from 1, got {update.round}")
    if np.any((update.p_mass < 0) | (update.p_mass > 1)):
        raise ValueError(f"a {update.source} says {np.nanmax(update.p_mass)}: p_mass is a probability, or NaN")
    if update.source is UpdateSource.LABEL and update.masked.any():
        raise ValueError("only a verdict can carry a mask, a label cannot")
