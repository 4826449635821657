"""Which weak images teach the next model: quadrants, p0 schedule, pools, journal, snapshots. May import archive and below.

rules.py      where one image stands at a p0, and p0 by epoch
pools.py      the columns of the rounds offered, and what follows from them
journal.py    what makes them survive the loss of the miner
snapshot.py   a pool as a file for the trainers
purity.py     how right the pools are, where truth is known
threshold.py  from which probability on a map is a mask, chosen on validation
"""

from system.mining.pools import LATEST, Columns, Moves, Pools, Shard
from system.mining.purity import purity
from system.mining.rules import P0Schedule, p0_text, pool_name, quadrants
from system.mining.snapshot import POOL, read_pool, write_pool
from system.mining.threshold import ThresholdChoice, choose_mask_threshold

__all__ = [
    "LATEST",
    "POOL",
    "Columns",
    "Moves",
    "P0Schedule",
    "Pools",
    "Shard",
    "ThresholdChoice",
    "choose_mask_threshold",
    "p0_text",
    "pool_name",
    "purity",
    "quadrants",
    "read_pool",
    "write_pool",
]
