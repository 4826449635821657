"""Which weak images teach the next model: quadrants, p0 schedule, pools, journal, snapshots. May import archive and below.

rules.py      where one image stands at a p0, and p0 by epoch
pools.py      the columns of the rounds offered, and what follows from them
amendments.py labels and verdicts that come later
later.py      what the archive has learned since, as such words
journal.py    what makes them survive the loss of the miner
entries.py    the files it is made of
snapshot.py   a pool as a file for the trainers
purity.py     how right the pools are, where truth is known
threshold.py  from which probability on a map is a mask, chosen on validation
"""

from system.mining.amendments import Amendment, Kind
from system.mining.later import OUTLINED, RANDOM, VERDICTS, judged_at_random, labels_since, outlined_by_readers, verdicts_of
from system.mining.pools import LATEST, Columns, Moves, Pools, Reason, Shard
from system.mining.purity import purity
from system.mining.rules import P0Schedule, p0_text, pool_name, quadrants
from system.mining.snapshot import POOL, read_pool, write_pool
from system.mining.threshold import ThresholdChoice, choose_mask_threshold

__all__ = [
    "LATEST",
    "OUTLINED",
    "POOL",
    "RANDOM",
    "VERDICTS",
    "Amendment",
    "Columns",
    "Kind",
    "Moves",
    "P0Schedule",
    "Pools",
    "Reason",
    "Shard",
    "ThresholdChoice",
    "choose_mask_threshold",
    "judged_at_random",
    "labels_since",
    "outlined_by_readers",
    "p0_text",
    "pool_name",
    "purity",
    "quadrants",
    "read_pool",
    "verdicts_of",
    "write_pool",
]
