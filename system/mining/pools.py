"""Keep a round's predictions as columns, and answer what the pools are at any p0.

The state holds no quadrant: it follows from the columns and p0, so it can be asked for any p0 and can't go stale.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from enum import IntEnum

import numpy as np
import xxhash
from numpy.typing import NDArray

from system.errors import UserError
from system.mining.label_updates import LabelUpdate, LabelUpdates, UpdateSource
from system.mining.rules import quadrants
from system.records import Quadrant

POOLED = (Quadrant.TP, Quadrant.FP, Quadrant.FN)  # the quadrants that teach; TN and UNUSED are thrown away
LATEST = 0  # instead of a round's number: the newest round offered; rounds count from 1
ALL_SOURCES = (UpdateSource.LABEL, UpdateSource.VERDICT)  # the later ones, a verdict beats a label
_NOBODY = np.empty(0, np.int64)
_NUM_ROUNDS_KEPT = 2  # the round being mined and the one it is compared with


@dataclass(frozen=True, slots=True)
class Columns:
    """Images of one round, one row each."""

    keys: NDArray[np.int64]  # [N] records.image_key
    p_mass: NDArray[np.float32]  # [N] probability of a mass by the report, 0 to 1, NaN where there is none
    score: NDArray[np.float32]  # [N] highest probability of a kept candidate, 0 to 1
    has_mask: NDArray[np.bool_]  # [N] M_b is non-empty

    def __len__(self) -> int:
        """Return the number of images."""
        return len(self.keys)

    def arrays(self) -> tuple[NDArray, NDArray, NDArray, NDArray]:
        """Return the columns in the order of the fields."""
        return self.keys, self.p_mass, self.score, self.has_mask

    def take(self, rows: NDArray) -> "Columns":
        """Return the chosen rows. rows: [M] int positions or [N] bool."""
        return Columns(*(array[rows] for array in self.arrays()))


@dataclass(frozen=True, slots=True)
class Shard:
    """One message to the miner: one predictions file of one round."""

    round: int  # from 1
    shard: int  # place of the file in its stage, from 0
    attempt: int  # of writing it; a higher one replaces a lower one
    predictions_file: str  # relative to the run's folder
    columns: Columns

    def digest(self) -> str:
        """Return a digest of source and columns: two shards of one name must have the same."""
        digest = xxhash.xxh3_64(self.predictions_file.encode())
        for array in self.columns.arrays():
            digest.update(array.tobytes())
        return digest.hexdigest()


@dataclass(frozen=True, slots=True)
class QuadrantCounts:
    """Images in each quadrant (records.Quadrant)."""

    tp: int
    fp: int
    fn: int
    tn: int
    unused: int  # the report is not sure enough

    @property
    def num_pooled(self) -> int:
        """Images that train the next model."""
        return self.tp + self.fp + self.fn

    @property
    def num_images(self) -> int:
        """All images of the round."""
        return self.num_pooled + self.tn + self.unused

    def line(self) -> str:
        """Return the counts for people."""
        return f"{self.tp} TP, {self.fp} FP, {self.fn} FN, {self.tn} TN, {self.unused} unused"


class Reason(IntEnum):
    """Why an image left its quadrant."""

    LABEL = 1  # its report is read otherwise, corrected or withdrawn
    MAP = 2  # the network draws a mask where it drew none, or none where it drew one
    BOTH = 3
    VERDICT = 4  # a reader has spoken


@dataclass(frozen=True, slots=True)
class Moves:
    """Images that stand in another quadrant than a round before."""

    keys: NDArray[np.int64]  # [N]
    before: NDArray[np.uint8]  # [N] records.Quadrant
    after: NDArray[np.uint8]  # [N] records.Quadrant
    reason: NDArray[np.uint8]  # [N] Reason

    def counts(self) -> dict[str, int]:
        """Return how many images went each way, e.g. {"FN>TP": 12}; ways nobody went are left out."""
        ways, numbers = np.unique(np.stack([self.before, self.after]), axis=1, return_counts=True)
        return {
            f"{Quadrant(a).name}>{Quadrant(b).name}": int(n) for a, b, n in zip(*ways.tolist(), numbers, strict=True)
        }

    def reasons(self) -> dict[str, int]:
        """Return how many images went for each reason, e.g. {"map": 9, "verdict": 3}; what moved nobody is left out."""
        found, numbers = np.unique(self.reason, return_counts=True)
        return {
            Reason(reason).name.lower(): int(number) for reason, number in zip(found.tolist(), numbers, strict=True)
        }


class Pools:
    """The predictions of the two newest rounds, whatever the order and however often they were offered."""

    def __init__(self) -> None:
        self._rounds: dict[int, dict[int, Shard]] = {}
        self._later = {kind: LabelUpdates() for kind in UpdateSource}

    def accept(self, shard: Shard) -> bool:
        """Take a shard in and say whether it changed anything; a repeat, an older attempt or a retired round does not."""
        if not self.wants(shard):
            return False
        columns = Columns(
            *(np.array(array) for array in shard.columns.arrays())
        )  # own memory: messages lie in Ray's store
        kept = Shard(shard.round, shard.shard, shard.attempt, shard.predictions_file, columns)
        self._rounds.setdefault(shard.round, {})[shard.shard] = kept
        for retired in sorted(self._rounds)[:-_NUM_ROUNDS_KEPT]:
            del self._rounds[retired]
        return True

    def wants(self, shard: Shard) -> bool:
        """Say whether accepting the shard would change anything. Raises ValueError for a malformed or contradicting one."""
        _check(shard)
        if len(self._rounds) == _NUM_ROUNDS_KEPT and shard.round < min(self._rounds):
            return False
        held = self._rounds.get(shard.round, {}).get(shard.shard)
        if held is None or held.attempt < shard.attempt:
            return True
        if held.attempt == shard.attempt and held.digest() != shard.digest():
            raise UserError(
                f"round {shard.round}, shard {shard.shard}, attempt {shard.attempt} was offered before with other content: "
                "predictions were written again after they were mined; remove the run's miner folder to mine them afresh"
            )
        return False

    def update_labels(self, update: LabelUpdate) -> bool:
        """Take later words in and say whether any is new. They show in what is asked for from now on, never in what was answered."""
        is_news = self.wants_update(update)
        self._later[update.source].add(update)
        return is_news

    def wants_update(self, update: LabelUpdate) -> bool:
        """Say whether an update would change anything. Raises ValueError for a malformed message."""
        return self._later[update.source].wants(update)

    def rounds(self) -> list[int]:
        """Return the rounds held, oldest first."""
        return sorted(self._rounds)

    def newest(self, round_number: int = LATEST) -> int:
        """Return the round's number, LATEST resolved. Raises LookupError when it is not held."""
        held = self.rounds()
        if not held or (round_number != LATEST and round_number not in held):
            raise LookupError(
                f"round {round_number or 'LATEST'} was not offered to the miner, which holds {held}: offer its shards first"
            )
        return held[-1] if round_number == LATEST else round_number

    def predictions_files(self, round_number: int = LATEST) -> dict[int, str]:
        """Return the predictions file of each shard."""
        return {
            number: shard.predictions_file for number, shard in sorted(self._rounds[self.newest(round_number)].items())
        }

    def columns(
        self, round_number: int = LATEST, *, sources: tuple[UpdateSource, ...] = ALL_SOURCES
    ) -> tuple[Columns, NDArray[np.int32]]:
        """Return a round's images by rising key with the p_mass that counts, and the shard each lies in ([N] int32).

        An image found in several shards (an earlier attempt had cut its files elsewhere) is taken from the newest attempt.
        """
        shards = sorted(
            self._rounds[self.newest(round_number)].values(), key=lambda shard: (-shard.attempt, shard.shard)
        )
        whole = Columns(
            *(np.concatenate(parts) for parts in zip(*(shard.columns.arrays() for shard in shards), strict=True))
        )
        numbers = np.repeat(np.array([s.shard for s in shards], np.int32), [len(s.columns) for s in shards])
        _, first = np.unique(whole.keys, return_index=True)
        return self._updated(whole.take(first), self.newest(round_number), sources=sources), numbers[first]

    def parts(
        self, round_number: int = LATEST, *, sources: tuple[UpdateSource, ...] = ALL_SOURCES
    ) -> Iterator[tuple[int, Columns]]:
        """Give the same images shard by shard, by rising number, in no order within. sources: whose later words count.

        Much cheaper where all shards are of one attempt, which holds each image once: nothing needs to be brought together.
        """
        current = self.newest(round_number)
        shards = self._rounds[current]
        if len({shard.attempt for shard in shards.values()}) == 1:
            for number in sorted(shards):
                yield number, self._updated(shards[number].columns, current, sources=sources)
            return
        columns, numbers = self.columns(current, sources=sources)
        for number in sorted(shards):
            yield number, columns.take(numbers == number)

    def _updated(self, columns: Columns, round_number: int, *, sources: tuple[UpdateSource, ...]) -> Columns:
        """Return the columns with the p_mass that counts."""
        p_mass = columns.p_mass
        for kind in sources:
            keys, said = self._later[kind].last(round_number)
            if len(keys):
                place, found = _places(columns.keys, within=keys)
                p_mass = np.where(found, said[place], p_mass)
        return Columns(columns.keys, p_mass, columns.score, columns.has_mask)

    def counts(self, *, p0: float, round_number: int = LATEST) -> QuadrantCounts:
        """Return how many images stand in each quadrant at p0."""
        parts = [quadrants(columns.p_mass, columns.has_mask, p0=p0) for _, columns in self.parts(round_number)]
        numbers = np.sum([np.bincount(part, minlength=len(Quadrant)) for part in parts], axis=0)
        return QuadrantCounts(**{quadrant.name.lower(): int(numbers[quadrant]) for quadrant in Quadrant})

    def known(
        self, keys: NDArray[np.int64], *, p0: float, round_number: int = LATEST
    ) -> tuple[NDArray[np.int64], NDArray[np.uint8]]:
        """Return those of the images that are in the round, and the quadrants where they would stand had no reader spoken.

        For the pools' purity: a verdict puts its image where it belongs, so it must not speak for the pool it was in.
        """
        found: list[tuple[NDArray, NDArray]] = []
        for _, columns in self.parts(round_number, sources=(UpdateSource.LABEL,)):
            rows = np.flatnonzero(np.isin(columns.keys, keys))
            found.append((columns.keys[rows], quadrants(columns.p_mass[rows], columns.has_mask[rows], p0=p0)))
        here, quadrant = (np.concatenate(column) for column in zip(*found, strict=True))
        return here, quadrant

    def moves(self, *, p0: float, round_number: int = LATEST) -> Moves:
        """Return the images that left their quadrant since the round before; none in the first round."""
        current = self.newest(round_number)
        after, _ = self.columns(current)
        judged, _ = self._later[UpdateSource.VERDICT].last(current)
        before = after if current - 1 not in self._rounds else self.columns(current - 1)[0]
        return compare(before, after, p0=p0, judged=judged)


def compare(before: Columns, after: Columns, *, p0: float, judged: NDArray[np.int64] = _NOBODY) -> Moves:
    """Return the images in both rounds that stand elsewhere after than before, and why. Keys must be unique in each.

    judged: images on which a reader has spoken; where her word changed the label, it is the reason
    """
    keys, rows_before, rows_after = np.intersect1d(before.keys, after.keys, assume_unique=True, return_indices=True)
    was = quadrants(before.p_mass, before.has_mask, p0=p0)[rows_before]
    now = quadrants(after.p_mass, after.has_mask, p0=p0)[rows_after]
    moved = was != now
    label = _label(before.p_mass[rows_before], p0=p0) != _label(after.p_mass[rows_after], p0=p0)
    mask = before.has_mask[rows_before] != after.has_mask[rows_after]
    reason = np.where(
        label & np.isin(keys, judged), np.uint8(Reason.VERDICT), Reason.LABEL * label.view(np.uint8) + Reason.MAP * mask
    )
    return Moves(keys[moved], was[moved], now[moved], reason[moved].astype(np.uint8))


def _label(p_mass: NDArray[np.float32], *, p0: float) -> NDArray[np.uint8]:
    """Return what the reports say: the quadrants there would be if every image had a mask."""
    return quadrants(p_mass, np.ones(len(p_mass), bool), p0=p0)


def _places(keys: NDArray[np.int64], *, within: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
    """Return where each key is, and whether it is there at all; within: rising, not empty."""
    places = np.minimum(np.searchsorted(within, keys), len(within) - 1)
    return places, within[places] == keys


def _check(shard: Shard) -> None:
    lengths = {len(array) for array in shard.columns.arrays()}
    types = [array.dtype for array in shard.columns.arrays()]
    p_mass = shard.columns.p_mass
    if shard.round < 1 or shard.shard < 0:
        raise ValueError(f"rounds count from 1 and shards from 0, got round {shard.round}, shard {shard.shard}")
    if len(lengths) != 1 or types != [np.int64, np.float32, np.float32, np.bool_]:
        raise ValueError(
            f"shard {shard.shard} needs int64, float32, float32, bool columns of one length, got {types}, lengths {lengths}"
        )
    if np.any((p_mass < 0) | (p_mass > 1)):
        raise ValueError(
            f"shard {shard.shard} has labels outside 0 to 1 (up to {np.nanmax(p_mass)}): p_mass must be a probability"
        )
