"""Which weak images teach the next model: quadrants, p0 schedule, pools, journal, snapshots. May import archive and below.

rules.py      where one image stands at a p0, and p0 by epoch
pools.py      the columns of the rounds offered, and what follows from them
updates.py labels and verdicts that come later
later.py      what the archive has learned since, as such words
journal.py    what makes them survive the loss of the miner
entries.py    the files it is made of
snapshot.py   a pool as a file for the trainers
purity.py     how right the pools are, where truth is known
threshold.py  from which probability on a map is a mask, chosen on validation
"""

from system.mining.archive_updates import (
    RANDOM,
    VERDICTS,
    judged_at_random,
    known_truth,
    labels_since,
    outlined_by_radiologists,
    verdicts_of,
)
from system.mining.label_updates import LabelUpdate, UpdateSource
from system.mining.pools import LATEST, Columns, Moves, Pools, QuadrantCounts, Reason, Shard
from system.mining.purity import PoolPurity, purity
from system.mining.rules import P0Schedule, quadrants
from system.mining.snapshot import read_pool, write_pool

__all__ = [
    "LATEST",
    "RANDOM",
    "VERDICTS",
    "Columns",
    "LabelUpdate",
    "Moves",
    "P0Schedule",
    "PoolPurity",
    "Pools",
    "QuadrantCounts",
    "Reason",
    "Shard",
    "UpdateSource",
    "judged_at_random",
    "known_truth",
    "labels_since",
    "outlined_by_radiologists",
    "purity",
    "quadrants",
    "read_pool",
    "verdicts_of",
    "write_pool",
]
