"""Keep a round's predictions as columns, from which the pools at any p0 follow.

The state holds no quadrant: a quadrant follows from the columns and p0, so it is right for any p0 and never stale.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from enum import IntEnum

import numpy as np
import xxhash
from numpy.typing import NDArray

from system.errors import UserError
from system.mining.label_updates import LabelUpdate, LabelUpdates, UpdateSource
from system.mining.rules import disputed, quadrants, sure_score
from system.records import P0, Quadrant

POOLED = (Quadrant.TP, Quadrant.FP, Quadrant.FN)  # the quadrants that train; TN and UNUSED are thrown away
LATEST = 0  # instead of a round's number: the newest round offered; rounds count from 1
ALL_SOURCES = (UpdateSource.LABEL, UpdateSource.VERDICT)  # in the order of application: a verdict beats a label
_NO_IMAGES = np.empty(0, np.int64)
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

    def arrays(self) -> tuple[NDArray[np.int64], NDArray[np.float32], NDArray[np.float32], NDArray[np.bool_]]:
        """Return the columns in the order of the fields."""
        return self.keys, self.p_mass, self.score, self.has_mask

    def quadrants(self, *, p0: P0) -> NDArray[np.uint8]:
        """Return the quadrant of each image: [N] records.Quadrant."""
        return quadrants(self.p_mass, self.has_mask, p0=p0)

    def take(self, rows: NDArray[np.int64] | NDArray[np.bool_]) -> "Columns":
        """Return the chosen rows. rows: [M] int positions or [N] bool."""
        return Columns(self.keys[rows], self.p_mass[rows], self.score[rows], self.has_mask[rows])


@dataclass(frozen=True, slots=True)
class Shard:
    """One message to the miner: one predictions file of one round."""

    round: int  # from 1
    shard: int  # place of the file in its stage, from 0
    attempt: int  # of writing it; a higher one replaces a lower one
    predictions_file: str  # relative to the run's folder
    columns: Columns

    def digest(self) -> str:
        """Return a digest of file name and columns: two shards of one name must have the same."""
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
    disputed: int = 0  # of FP: rules.disputed

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
        return (
            f"{self.tp} TP, {self.fp} FP ({self.disputed} disputed), {self.fn} FN, {self.tn} TN, {self.unused} unused"
        )


class Reason(IntEnum):
    """Why an image left its quadrant."""

    LABEL = 1  # its report is read otherwise, corrected or withdrawn
    MAP = 2  # the network gives a mask where it gave none, or none where it gave one
    BOTH = 3  # LABEL + MAP
    VERDICT = 4  # a reader has judged it


@dataclass(frozen=True, slots=True)
class Moves:
    """Images that stand in another quadrant than a round before."""

    keys: NDArray[np.int64]  # [N]
    before: NDArray[np.uint8]  # [N] records.Quadrant
    after: NDArray[np.uint8]  # [N] records.Quadrant
    reason: NDArray[np.uint8]  # [N] Reason

    def counts(self) -> dict[str, int]:
        """Return how many images went each way, e.g. {"FN>TP": 12}; ways of no image are left out."""
        ways, numbers = np.unique(np.stack([self.before, self.after]), axis=1, return_counts=True)
        return {
            f"{Quadrant(a).name}>{Quadrant(b).name}": int(n) for a, b, n in zip(*ways.tolist(), numbers, strict=True)
        }

    def reasons(self) -> dict[str, int]:
        """Return how many images went for each reason, e.g. {"map": 9, "verdict": 3}; reasons of none are left out."""
        found, numbers = np.unique(self.reason, return_counts=True)
        return {
            Reason(reason).name.lower(): int(number) for reason, number in zip(found.tolist(), numbers, strict=True)
        }


class Pools:
    """The predictions of the two newest rounds, whatever the order and however often they were offered."""

    def __init__(self) -> None:
        self._rounds: dict[int, dict[int, Shard]] = {}
        self._updates = {source: LabelUpdates() for source in UpdateSource}

    def accept(self, shard: Shard) -> bool:
        """Add a shard, and return whether it changed anything.

        A repeat, an older attempt or a retired round changes nothing.
        """
        if not self.would_change(shard):
            return False
        keys, p_mass, score, has_mask = shard.columns.arrays()
        # Copied, because messages lie in Ray's store.
        columns = Columns(np.array(keys), np.array(p_mass), np.array(score), np.array(has_mask))
        kept = Shard(shard.round, shard.shard, shard.attempt, shard.predictions_file, columns)
        self._rounds.setdefault(shard.round, {})[shard.shard] = kept
        for retired in sorted(self._rounds)[:-_NUM_ROUNDS_KEPT]:
            del self._rounds[retired]
        return True

    def would_change(self, shard: Shard) -> bool:
        """Return whether accepting the shard would change anything.

        Raises ValueError for a malformed shard, UserError for one that was offered before with other content.
        """
        _check(shard)
        if len(self._rounds) == _NUM_ROUNDS_KEPT and shard.round < min(self._rounds):
            return False
        held = self._rounds.get(shard.round, {}).get(shard.shard)
        if held is None or held.attempt < shard.attempt:
            return True
        if held.attempt == shard.attempt and held.digest() != shard.digest():
            raise UserError(
                f"round {shard.round}, shard {shard.shard}, attempt {shard.attempt} was offered before with other "
                "content: predictions were written again after they were mined; remove the run's miner folder to mine "
                "them afresh"
            )
        return False

    def update_labels(self, update: LabelUpdate) -> bool:
        """Apply a label update, and return whether any of it was new. It affects future pools only."""
        is_new = self.would_change_labels(update)
        self._updates[update.source].add(update)
        return is_new

    def would_change_labels(self, update: LabelUpdate) -> bool:
        """Return whether any of an update is new. Raises ValueError for a malformed message."""
        return self._updates[update.source].would_change(update)

    def rounds(self) -> list[int]:
        """Return the rounds held, oldest first."""
        return sorted(self._rounds)

    def newest(self, round_number: int = LATEST) -> int:
        """Return the round's number, LATEST resolved. Raises LookupError when it is not held."""
        held = self.rounds()
        if not held or (round_number != LATEST and round_number not in held):
            raise LookupError(
                f"round {round_number or 'LATEST'} was not offered to the miner, which holds {held}: "
                "offer its shards first"
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

        An image found in several shards (an earlier attempt had cut its files elsewhere) is taken from the newest
        attempt.

        sources: whose label updates count
        """
        shards = sorted(
            self._rounds[self.newest(round_number)].values(), key=lambda shard: (-shard.attempt, shard.shard)
        )
        whole = _joined([shard.columns for shard in shards])
        numbers = np.repeat(np.array([s.shard for s in shards], np.int32), [len(s.columns) for s in shards])
        _, first = np.unique(whole.keys, return_index=True)
        return self._updated(whole.take(first), self.newest(round_number), sources=sources), numbers[first]

    def parts(
        self, round_number: int = LATEST, *, sources: tuple[UpdateSource, ...] = ALL_SOURCES
    ) -> Iterator[tuple[int, Columns]]:
        """Give the same images shard by shard, by rising number, in no order within.

        Much cheaper where all shards are of one attempt, which holds each image once: no columns need to be joined.

        sources: whose label updates count
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
        for source in sources:
            keys, updated = self._updates[source].latest(round_number)
            if len(keys):
                place, found = _places(columns.keys, within=keys)
                p_mass = np.where(found, updated[place], p_mass)
        return Columns(columns.keys, p_mass, columns.score, columns.has_mask)

    def counts(self, *, p0: P0, round_number: int = LATEST) -> QuadrantCounts:
        """Return how many images stand in each quadrant at p0."""
        parts = [(columns, columns.quadrants(p0=p0)) for _, columns in self.parts(round_number)]
        numbers = np.sum([np.bincount(quadrant, minlength=len(Quadrant)) for _, quadrant in parts], axis=0)
        num_disputed = sum(int(part.sum()) for part in self.disputed(parts, round_number=round_number))
        return QuadrantCounts(
            **{quadrant.name.lower(): int(numbers[quadrant]) for quadrant in Quadrant}, disputed=num_disputed
        )

    def disputed(
        self, parts: Sequence[tuple[Columns, NDArray[np.uint8]]], *, round_number: int = LATEST
    ) -> list[NDArray[np.bool_]]:
        """Return which images of a round are disputed (rules.disputed), part by part.

        parts: images and their quadrants; all TP of the round must be among them
        """
        judged, _ = self._updates[UpdateSource.VERDICT].latest(self.newest(round_number))
        return self._disputed(parts, judged=judged)

    @staticmethod
    def _disputed(
        parts: Sequence[tuple[Columns, NDArray[np.uint8]]], *, judged: NDArray[np.int64]
    ) -> list[NDArray[np.bool_]]:
        score = np.concatenate([columns.score for columns, _ in parts])
        limit = sure_score(score, np.concatenate([quadrant for _, quadrant in parts]))
        return [
            disputed(columns.score, quadrant, limit=limit, judged=np.isin(columns.keys, judged))
            for columns, quadrant in parts
        ]

    def known(
        self, keys: NDArray[np.int64], *, p0: P0, round_number: int = LATEST
    ) -> tuple[NDArray[np.int64], NDArray[np.uint8], NDArray[np.bool_]]:
        """Return those of the images that are in the round, their quadrants without regard to verdicts, and disputed.

        For the pools' purity: a verdict puts its image into the right quadrant, so it must not count as a success of
        the pool that the image was in.
        """
        parts = [
            (columns, columns.quadrants(p0=p0))
            for _, columns in self.parts(round_number, sources=(UpdateSource.LABEL,))
        ]
        found = [
            (columns.keys[here], quadrant[here], marked[here])
            for (columns, quadrant), marked in zip(parts, self._disputed(parts, judged=_NO_IMAGES), strict=True)
            for here in [np.isin(columns.keys, keys)]
        ]
        held, quadrant, marked = (np.concatenate(column) for column in zip(*found, strict=True))
        return held, quadrant, marked

    def moves(self, *, p0: P0, round_number: int = LATEST) -> Moves:
        """Return the images that left their quadrant since the round before; none in the first round."""
        current = self.newest(round_number)
        after, _ = self.columns(current)
        judged, _ = self._updates[UpdateSource.VERDICT].latest(current)
        before = after if current - 1 not in self._rounds else self.columns(current - 1)[0]
        return compare(before, after, p0=p0, judged=judged)


def compare(before: Columns, after: Columns, *, p0: P0, judged: NDArray[np.int64] = _NO_IMAGES) -> Moves:
    """Return the images in both rounds that stand elsewhere after than before, and why. Keys must be unique in each.

    judged: images that a radiologist has judged; where the verdict changed the label, it is the reason
    """
    keys, rows_before, rows_after = np.intersect1d(before.keys, after.keys, assume_unique=True, return_indices=True)
    before, after = before.take(rows_before), after.take(rows_after)
    was, now = before.quadrants(p0=p0), after.quadrants(p0=p0)
    moved = was != now
    label = _quadrants_by_label_alone(before, p0=p0) != _quadrants_by_label_alone(after, p0=p0)
    mask = before.has_mask != after.has_mask
    reason = np.where(
        label & np.isin(keys, judged), np.uint8(Reason.VERDICT), Reason.LABEL * label.view(np.uint8) + Reason.MAP * mask
    )
    return Moves(keys[moved], was[moved], now[moved], reason[moved].astype(np.uint8))


def _joined(parts: Sequence[Columns]) -> Columns:
    return Columns(
        keys=np.concatenate([part.keys for part in parts]),
        p_mass=np.concatenate([part.p_mass for part in parts]),
        score=np.concatenate([part.score for part in parts]),
        has_mask=np.concatenate([part.has_mask for part in parts]),
    )


def _quadrants_by_label_alone(columns: Columns, *, p0: P0) -> NDArray[np.uint8]:
    """Return the quadrants that there would be if every image had a mask: what depends on the label alone."""
    return replace(columns, has_mask=np.ones(len(columns), bool)).quadrants(p0=p0)


def _places(keys: NDArray[np.int64], *, within: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
    """Return where each key is, and whether it is there at all. within: rising, not empty."""
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
            f"shard {shard.shard} needs int64, float32, float32, bool columns of one length, "
            f"got {types}, lengths {lengths}"
        )
    if np.any((p_mass < 0) | (p_mass > 1)):
        raise ValueError(
            f"shard {shard.shard} has labels outside 0 to 1 (up to {np.nanmax(p_mass)}): p_mass must be a probability"
        )
