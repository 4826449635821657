"""Updates of labels after inference: labels of corrected and withdrawn reports, and readers' verdicts.

Of several updates of one source the latest counts, and a verdict beats every label. Latest is the highest version or
time, not the last arrival, so any order of arrival and any repeats give the same pools.
"""

from dataclasses import dataclass
from enum import StrEnum

import numpy as np
import xxhash
from numpy.typing import NDArray

_ROW = np.dtype(
    [("key", np.int64), ("order", np.int64), ("round", np.int32), ("p_mass", np.float32), ("masked", np.bool_)]
)
_NO_P_MASS = np.float32(-1)  # stands for NaN in rows, because NaN does not equal itself


class UpdateSource(StrEnum):
    """Where an update comes from; in the order in which they are applied."""

    LABEL = "label"  # a corrected or withdrawn report
    VERDICT = "verdict"  # a reader who judged the image


@dataclass(frozen=True, slots=True)
class LabelUpdate:
    """New labels of one source, one row per image."""

    source: UpdateSource
    round: int  # from which on they count, from 1: the one that was being mined when they arrived
    keys: NDArray[np.int64]  # [N] records.image_key
    # [N] probability of a mass, 0 to 1; NaN: the report is withdrawn, or the reader is unsure
    p_mass: NDArray[np.float32]
    # [N] version of the report, or time of the verdict: of several rows of an image the one with the highest counts
    order: NDArray[np.int64]
    masked: NDArray[np.bool_]  # [N] the verdict has an outline: the image belongs to the strong set and to no pool

    def __len__(self) -> int:
        """Return the number of images."""
        return len(self.keys)

    def arrays(self) -> tuple[NDArray[np.int64], NDArray[np.float32], NDArray[np.int64], NDArray[np.bool_]]:
        """Return the columns in the order of the fields."""
        return self.keys, self.p_mass, self.order, self.masked

    def digest(self) -> str:
        """Return a digest of source, round and rows."""
        digest = xxhash.xxh3_64(f"{self.source} {self.round}".encode())
        for array in self.arrays():
            digest.update(array.tobytes())
        return digest.hexdigest()


class LabelUpdates:
    """All updates of one source."""

    def __init__(self) -> None:
        self._rows = np.empty(0, _ROW)

    def would_change(self, update: LabelUpdate) -> bool:
        """Return whether any row of an update is new. Raises ValueError for a malformed message."""
        return len(self._with(update)) > len(self._rows)

    def add(self, update: LabelUpdate) -> None:
        """Add an update. Raises ValueError for a malformed message."""
        self._rows = self._with(update)

    def _with(self, update: LabelUpdate) -> NDArray[np.void]:
        check(update)
        rows = np.empty(len(update), _ROW)
        rows["key"], rows["order"], rows["masked"] = update.keys, update.order, update.masked
        rows["round"] = update.round
        rows["p_mass"] = np.where(np.isnan(update.p_mass), _NO_P_MASS, update.p_mass)
        return np.unique(np.concatenate([self._rows, rows]))

    def latest(self, round_number: int) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
        """Return the images updated up to a round by rising key, and the p_mass that counts for each.

        p_mass is NaN where there is none, or where the image must be in no pool.
        """
        rows = self._rows[self._rows["round"] <= round_number]  # sorted by key, order, round, p_mass, masked
        rows = rows[np.append(rows["key"][1:] != rows["key"][:-1], True)] if len(rows) else rows
        unpooled = rows["masked"] | (rows["p_mass"] == _NO_P_MASS)
        return rows["key"], np.where(unpooled, np.float32(np.nan), rows["p_mass"])


def check(update: LabelUpdate) -> None:
    """Raise ValueError for a malformed update."""
    types = [array.dtype for array in update.arrays()]
    if len({len(array) for array in update.arrays()}) != 1 or types != [np.int64, np.float32, np.int64, np.bool_]:
        raise ValueError(f"a label update needs int64, float32, int64, bool columns of one length, got {types}")
    if update.round < 1:
        raise ValueError(f"rounds count from 1, got {update.round}")
    if np.any((update.p_mass < 0) | (update.p_mass > 1)):
        raise ValueError(f"a {update.source} has p_mass {np.nanmax(update.p_mass)}: it must be a probability, or NaN")
    if update.source is UpdateSource.LABEL and update.masked.any():
        raise ValueError("only a verdict can carry a mask, a label cannot")
