"""Keep a round's predictions as columns, and answer what the pools are at any p0.

The state holds no quadrant: it follows from the columns and p0, so it can be asked for any p0 and can't go stale.
"""

from dataclasses import dataclass

import numpy as np
import xxhash
from numpy.typing import NDArray

from system.mining.rules import quadrants
from system.records import Quadrant

POOLED = (Quadrant.TP, Quadrant.FP, Quadrant.FN)  # the quadrants that teach; TN and UNUSED are thrown away
LATEST = 0  # instead of a round's number: the newest round offered; rounds count from 1
_NUM_ROUNDS_KEPT = 2  # the round being mined and the one it is compared with


@dataclass(frozen=True, slots=True)
class Columns:
    """Images of one round, one row each."""

    keys: NDArray[np.int64]  # [N] records.image_key
    y: NDArray[np.float32]  # [N] probability of a mass by the report, 0 to 1, NaN where there is none
    score: NDArray[np.float32]  # [N] highest probability of a kept candidate, 0 to 1
    has_mask: NDArray[np.bool_]  # [N] M_b is non-empty

    def __len__(self) -> int:
        """Return the number of images."""
        return len(self.keys)

    def arrays(self) -> tuple[NDArray, NDArray, NDArray, NDArray]:
        """Return the columns in the order of the fields."""
        return self.keys, self.y, self.score, self.has_mask

    def take(self, rows: NDArray) -> "Columns":
        """Return the chosen rows. rows: [M] int positions or [N] bool."""
        return Columns(*(array[rows] for array in self.arrays()))


@dataclass(frozen=True, slots=True)
class Shard:
    """One message to the miner: one predictions file of one round."""

    round: int  # from 1
    shard: int  # place of the file in its stage, from 0
    attempt: int  # of writing it; a higher one replaces a lower one
    source: str  # the predictions file, relative to the run's folder
    columns: Columns

    def digest(self) -> str:
        """Return a digest of source and columns: two shards of one name must have the same."""
        digest = xxhash.xxh3_64(self.source.encode())
        for array in self.columns.arrays():
            digest.update(array.tobytes())
        return digest.hexdigest()


@dataclass(frozen=True, slots=True)
class Moves:
    """Images that stand in another quadrant than a round before."""

    keys: NDArray[np.int64]  # [N]
    before: NDArray[np.uint8]  # [N] records.Quadrant
    after: NDArray[np.uint8]  # [N] records.Quadrant

    def counts(self) -> dict[str, int]:
        """Return how many images went each way, e.g. {"FN>TP": 12}; ways nobody went are left out."""
        ways, numbers = np.unique(np.stack([self.before, self.after]), axis=1, return_counts=True)
        return {f"{Quadrant(a).name}>{Quadrant(b).name}": int(n) for a, b, n in zip(*ways.tolist(), numbers, strict=True)}


class Pools:
    """The predictions of the two newest rounds, whatever the order and however often they were offered."""

    def __init__(self) -> None:
        self._rounds: dict[int, dict[int, Shard]] = {}

    def accept(self, shard: Shard) -> bool:
        """Take a shard in and say whether it changed anything; a repeat, an older attempt or a retired round does not."""
        if not self.wants(shard):
            return False
        columns = Columns(*(np.array(array) for array in shard.columns.arrays()))  # own memory: messages lie in Ray's store
        kept = Shard(shard.round, shard.shard, shard.attempt, shard.source, columns)
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
            raise ValueError(
                f"round {shard.round}, shard {shard.shard}, attempt {shard.attempt} was offered before with other content: "
                "predictions were written again after they were mined; remove the run's miner folder to mine them afresh"
            )
        return False

    def rounds(self) -> list[int]:
        """Return the rounds held, oldest first."""
        return sorted(self._rounds)

    def newest(self, round_number: int = LATEST) -> int:
        """Return the round's number, LATEST resolved. Raises LookupError when it is not held."""
        held = self.rounds()
        if not held or (round_number != LATEST and round_number not in held):
            raise LookupError(f"round {round_number or 'LATEST'} was not offered to the miner, which holds {held}: offer its shards first")
        return held[-1] if round_number == LATEST else round_number

    def sources(self, round_number: int = LATEST) -> dict[int, str]:
        """Return the predictions file of each shard."""
        return {number: shard.source for number, shard in sorted(self._rounds[self.newest(round_number)].items())}

    def columns(self, round_number: int = LATEST) -> tuple[Columns, NDArray[np.int32]]:
        """Return a round's images by rising key, and the shard each lies in ([N] int32).

        An image found in several shards (an earlier attempt had cut its files elsewhere) is taken from the newest attempt.
        """
        shards = sorted(self._rounds[self.newest(round_number)].values(), key=lambda shard: (-shard.attempt, shard.shard))
        whole = Columns(*(np.concatenate(parts) for parts in zip(*(shard.columns.arrays() for shard in shards), strict=True)))
        numbers = np.repeat(np.array([s.shard for s in shards], np.int32), [len(s.columns) for s in shards])
        _, first = np.unique(whole.keys, return_index=True)
        return whole.take(first), numbers[first]

    def counts(self, *, p0: float, round_number: int = LATEST) -> dict[str, int]:
        """Return how many images stand in each quadrant at p0, by the quadrant's name."""
        columns, _ = self.columns(round_number)
        numbers = np.bincount(quadrants(columns.y, columns.has_mask, p0=p0), minlength=len(Quadrant))
        return {quadrant.name: int(numbers[quadrant]) for quadrant in Quadrant}

    def moves(self, *, p0: float, round_number: int = LATEST) -> Moves:
        """Return the images that left their quadrant since the round before; none in the first round."""
        current = self.newest(round_number)
        after, _ = self.columns(current)
        if current - 1 not in self._rounds:
            return compare(after, after, p0=p0)
        before, _ = self.columns(current - 1)
        return compare(before, after, p0=p0)


def compare(before: Columns, after: Columns, *, p0: float) -> Moves:
    """Return the images in both rounds that stand elsewhere after than before. Keys must be unique in each."""
    keys, rows_before, rows_after = np.intersect1d(before.keys, after.keys, assume_unique=True, return_indices=True)
    was = quadrants(before.y, before.has_mask, p0=p0)[rows_before]
    now = quadrants(after.y, after.has_mask, p0=p0)[rows_after]
    moved = was != now
    return Moves(keys[moved], was[moved], now[moved])


def _check(shard: Shard) -> None:
    lengths = {len(array) for array in shard.columns.arrays()}
    types = [array.dtype for array in shard.columns.arrays()]
    y = shard.columns.y
    if shard.round < 1 or shard.shard < 0:
        raise ValueError(f"rounds count from 1 and shards from 0, got round {shard.round}, shard {shard.shard}")
    if len(lengths) != 1 or types != [np.int64, np.float32, np.float32, np.bool_]:
        raise ValueError(f"shard {shard.shard} needs int64, float32, float32, bool columns of one length, got {types}, lengths {lengths}")
    if np.any((y < 0) | (y > 1)):
        raise ValueError(f"shard {shard.shard} has labels outside 0 to 1 (up to {np.nanmax(y)}): p_mass must be a probability")
