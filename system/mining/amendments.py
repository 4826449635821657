"""What is said of images after they were inferred: labels of corrected and withdrawn reports, and readers' verdicts.

A later word beats an earlier one of its kind, a verdict beats every label. What counts is what was said last, not what arrived last, so any
order of arrival and any repeats come to the same.
"""

from dataclasses import dataclass
from enum import StrEnum

import numpy as np
import xxhash
from numpy.typing import NDArray

_ROW = np.dtype([("key", np.int64), ("order", np.int64), ("round", np.int32), ("y", np.float32), ("masked", np.bool_)])
_UNSAID = np.float32(-1)  # stands for NaN in rows, because NaN is unlike itself


class Kind(StrEnum):
    """Who spoke; in the order in which they are applied."""

    LABEL = "label"  # the report, read again or taken back
    VERDICT = "verdict"  # a reader who looked at the image


@dataclass(frozen=True, slots=True)
class Amendment:
    """One message of later words, one row per image."""

    kind: Kind
    round: int  # from which on they count, from 1: the one that was being mined when they came
    keys: NDArray[np.int64]  # [N] records.image_key
    y: NDArray[np.float32]  # [N] probability of a mass, 0 to 1; NaN: the report is withdrawn, or the reader is unsure
    order: NDArray[np.int64]  # [N] version of the report, or time of the verdict: of several words the one with the highest counts
    masked: NDArray[np.bool_]  # [N] the verdict carries a mask: the image belongs to the strong set and to no pool

    def __len__(self) -> int:
        """Return the number of images."""
        return len(self.keys)

    def arrays(self) -> tuple[NDArray, NDArray, NDArray, NDArray]:
        """Return the columns in the order of the fields."""
        return self.keys, self.y, self.order, self.masked

    def digest(self) -> str:
        """Return a digest of all that it says."""
        digest = xxhash.xxh3_64(f"{self.kind} {self.round}".encode())
        for array in self.arrays():
            digest.update(array.tobytes())
        return digest.hexdigest()


class Amendments:
    """All later words of one kind."""

    def __init__(self) -> None:
        self._rows = np.empty(0, _ROW)

    def wants(self, amendment: Amendment) -> bool:
        """Say whether any of the words is new. Raises ValueError for a malformed message."""
        return len(self._with(amendment)) > len(self._rows)

    def add(self, amendment: Amendment) -> None:
        """Take words in. Raises ValueError for a malformed message."""
        self._rows = self._with(amendment)

    def _with(self, amendment: Amendment) -> NDArray[np.void]:
        check(amendment)
        rows = np.empty(len(amendment), _ROW)
        rows["key"], rows["order"], rows["round"], rows["masked"] = amendment.keys, amendment.order, amendment.round, amendment.masked
        rows["y"] = np.where(np.isnan(amendment.y), _UNSAID, amendment.y)
        return np.unique(np.concatenate([self._rows, rows]))

    def last(self, round_number: int) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
        """Return the images spoken of up to a round by rising key, and the y that counts for each; NaN: none, or not to be pooled."""
        rows = self._rows[self._rows["round"] <= round_number]  # sorted by key, order, round, y, masked
        rows = rows[np.append(rows["key"][1:] != rows["key"][:-1], True)] if len(rows) else rows
        return rows["key"], np.where(rows["masked"] | (rows["y"] == _UNSAID), np.float32(np.nan), rows["y"])


def check(amendment: Amendment) -> None:
    """Raise ValueError for a malformed one."""
    types = [array.dtype for array in amendment.arrays()]
    if len({len(array) for array in amendment.arrays()}) != 1 or types != [np.int64, np.float32, np.int64, np.bool_]:
        raise ValueError(f"later words need int64, float32, int64, bool columns of one length, got {types}")
    if amendment.round < 1:
        raise ValueError(f"rounds count from 1, got {amendment.round}")
    if np.any((amendment.y < 0) | (amendment.y > 1)):
        raise ValueError(f"a {amendment.kind} says {np.nanmax(amendment.y)}: y is a probability, or NaN")
    if amendment.kind is Kind.LABEL and amendment.masked.any():
        raise ValueError("only a verdict can carry a mask, a label cannot")
