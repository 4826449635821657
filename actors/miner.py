"""The miner of a run: takes predictions shard by shard, answers with pools, survives its own death.

A plain class; pipelines/mine.py makes it a named, detached actor. What it knows is in system/mining, what it must not lose in the journal.

One actor holds some 25 bytes an image (benchmarks/miner.py), so hundreds of millions. Past that, several can share a run: every message is
split by a hash of the study, so that both breasts and all views of an examination stay together, each actor has a journal of its own,
counts add up and a pool is the list of their files. Nothing here looks beyond one image, so no actor needs another's rows.

Two drivers can't both feed a run: each claims it and speaks under the number it was given, and all but the last number are refused.
"""

import logging
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
from numpy.typing import NDArray

from system.files.bucket import put_file
from system.mining import (
    LATEST,
    LabelUpdate,
    Moves,
    PoolPurity,
    Pools,
    QuadrantCounts,
    Shard,
    purity,
    write_pool,
)
from system.mining.journal import Claim, Journal, Superseded
from system.mining.journal_storage import BucketEntries, FolderEntries

log = logging.getLogger(__name__)


class Miner:
    """One per run; every method may be called again with the same arguments without harm."""

    def __init__(self, place: str, *, run: str = "") -> None:
        """Stand where the journal ends.

        place: where journal and snapshots are kept, this run's alone: a folder, or s3://bucket/prefix
        run: the run's folder, to which the shards' sources are relative; "" = the folder that `place` lies in
        """
        self._place = place
        self._run = Path(run) if run else Path(place).parent
        bucket = "://" in place
        self._journal = Journal(BucketEntries(f"{place}/journal") if bucket else FolderEntries(Path(place) / "journal"))
        self._pools = Pools()
        self._driver = 0  # the last that claimed the run
        count = 0
        for count, message in enumerate(self._journal.replay(), start=1):  # noqa: B007 - counted for the log
            match message:
                case Shard():
                    self._pools.accept(message)
                case LabelUpdate():
                    self._pools.update_labels(message)
                case Claim(driver):
                    self._driver = driver
        log.info("miner: %d messages from the journal, rounds %s held", count, self._pools.rounds())

    def claim(self) -> int:
        """Take the run over for a driver and return the number under which it speaks; every earlier driver is refused from now on."""
        self._journal.append(Claim(self._driver + 1))
        self._driver += 1
        return self._driver

    def offer(self, shard: Shard, *, driver: int) -> bool:
        """Take a shard in, for good; return False where it changes nothing (a repeat, an older attempt).

        Raises Superseded where another driver has claimed the run since.
        """
        self._refuse_earlier(driver)
        if not self._pools.wants(shard):
            return False
        self._journal.append(shard)
        return self._pools.accept(shard)

    def update_labels(self, update: LabelUpdate, *, driver: int) -> bool:
        """Take corrected and withdrawn labels or readers' verdicts in, for good; return False where it changes nothing.

        Raises Superseded where another driver has claimed the run since.
        """
        self._refuse_earlier(driver)
        if not self._pools.wants_update(update):
            return False
        self._journal.append(update)
        return self._pools.update_labels(update)

    def pool(self, p0: float, *, round_number: int = LATEST) -> str:
        """Return the path or the address of the pool's Arrow IPC file (schemas.POOL)."""
        if "://" not in self._place:
            return str(
                write_pool(self._pools, Path(self._place) / "pools", run=self._run, p0=p0, round_number=round_number)
            )
        with TemporaryDirectory() as scratch:
            path = write_pool(self._pools, Path(scratch), run=self._run, p0=p0, round_number=round_number)
            put_file(f"{self._place}/pools", path.name, path)
            return f"{self._place}/pools/{path.name}"

    def counts(self, p0: float, *, round_number: int = LATEST) -> QuadrantCounts:
        """Return how many images stand in each quadrant."""
        return self._pools.counts(p0=p0, round_number=round_number)

    def purity(
        self, p0: float, truth_keys: NDArray[np.int64], has_mass: NDArray[np.bool_], *, round_number: int = LATEST
    ) -> tuple[PoolPurity, ...]:
        """Return how right each pool is as far as the truth is known, readers' verdicts left out of the pools (system.mining.purity).

        truth_keys, has_mass: [M], keys unique
        """
        keys, quadrant = self._pools.known(truth_keys, p0=p0, round_number=round_number)
        return purity(keys, quadrant, truth_keys=truth_keys, has_mass=has_mass)

    def moved(self, p0: float, *, round_number: int = LATEST) -> Moves:
        """Return the images that left their quadrant since the round before."""
        return self._pools.moves(p0=p0, round_number=round_number)

    def _refuse_earlier(self, driver: int) -> None:
        if driver != self._driver:
            raise Superseded(f"driver {driver} of this run was replaced by driver {self._driver}: let that one go on")
