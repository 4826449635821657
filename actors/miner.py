"""The miner of a run: collects predictions shard by shard, gives the pools, and can be restarted without loss.

A plain class; pipelines/mine.py makes it a named, detached actor. The rules are in system/mining; every message that
the miner accepted is in its journal.

One actor holds some 25 bytes an image (benchmarks/miner.py), so hundreds of millions of images. Beyond that, several
could share a run: every message is split by a hash of the study, so that both breasts and all views of an examination
stay together; each actor has a journal of its own; counts add up, and a pool is the list of their files. All code here
looks at one image at a time, so no actor needs another's rows.

Two drivers cannot both send to one miner: each claims the run and sends under the number that it got, and all numbers
but the last are refused.
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
from system.records import P0

log = logging.getLogger(__name__)


class Miner:
    """One per run; every method may be called again with the same arguments without harm."""

    def __init__(self, place: str, *, run: str = "") -> None:
        """Rebuild the state by replaying the journal.

        place: where journal and snapshots of this run alone are kept: a folder, or s3://bucket/prefix
        run: the run's folder, to which predictions files are relative; "" = the folder that `place` lies in
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
        """Claim the run for a driver, and return the number under which it sends its messages.

        Every earlier driver is refused from now on.
        """
        self._journal.append(Claim(self._driver + 1))
        self._driver += 1
        return self._driver

    def offer(self, shard: Shard, *, driver: int) -> bool:
        """Add a shard, and return whether it changed anything; a repeat or an older attempt does not.

        After the return it survives the loss of the miner. Raises Superseded where another driver has claimed the run
        since.
        """
        self._refuse_earlier(driver)
        if not self._pools.would_change(shard):
            return False
        self._journal.append(shard)
        return self._pools.accept(shard)

    def update_labels(self, update: LabelUpdate, *, driver: int) -> bool:
        """Apply corrected and withdrawn labels or readers' verdicts, and return whether any is new.

        After the return they survive the loss of the miner. Raises Superseded where another driver has claimed the run
        since.
        """
        self._refuse_earlier(driver)
        if not self._pools.would_change_labels(update):
            return False
        self._journal.append(update)
        return self._pools.update_labels(update)

    def pool(self, p0: P0, *, round_number: int = LATEST) -> str:
        """Return the path or the address of the pool's Arrow IPC file (schemas.POOL)."""
        if "://" not in self._place:
            return str(
                write_pool(self._pools, Path(self._place) / "pools", run=self._run, p0=p0, round_number=round_number)
            )
        with TemporaryDirectory() as scratch:
            path = write_pool(self._pools, Path(scratch), run=self._run, p0=p0, round_number=round_number)
            put_file(f"{self._place}/pools", path.name, path)
            return f"{self._place}/pools/{path.name}"

    def counts(self, p0: P0, *, round_number: int = LATEST) -> QuadrantCounts:
        """Return how many images stand in each quadrant."""
        return self._pools.counts(p0=p0, round_number=round_number)

    def purity(
        self, p0: P0, truth_keys: NDArray[np.int64], has_mass: NDArray[np.bool_], *, round_number: int = LATEST
    ) -> tuple[PoolPurity, ...]:
        """Return the purity of the pools, as far as the truth is known (system.mining.purity).

        The pools are taken as they would be without readers' verdicts.

        truth_keys, has_mass: [M] of the images whose truth is known, keys unique
        """
        keys, quadrant, disputed = self._pools.known(truth_keys, p0=p0, round_number=round_number)
        return purity(keys, quadrant, disputed, truth_keys=truth_keys, has_mass=has_mass)

    def moved(self, p0: P0, *, round_number: int = LATEST) -> Moves:
        """Return the images that left their quadrant since the round before."""
        return self._pools.moves(p0=p0, round_number=round_number)

    def _refuse_earlier(self, driver: int) -> None:
        if driver != self._driver:
            raise Superseded(f"driver {driver} of this run was replaced by driver {self._driver}: let that one go on")
