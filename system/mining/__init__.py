"""Which weak images train the next model: quadrants, pools, label updates, and the journal that keeps them.

rules.py            where one image stands at a p0, and p0 by epoch
columns_in.py       a file of predictions as the columns that the miner keeps
pools.py            the columns of the newest rounds, and the pools that follow from them
label_updates.py    labels and verdicts that arrive after inference
archive_updates.py  the archive's changes since a run was pinned, as such updates
journal.py          every message that the miner accepted, kept on storage
journal_storage.py  the numbered entries that the journal consists of
snapshot.py         a pool as a file for the trainers
purity.py           how right the pools are, where the truth is known
"""

from typing import TYPE_CHECKING

from system.lazy import exported_by
from system.mining.purity import PoolPurity, purity  # at once: the function has its module's name

if TYPE_CHECKING:
    from system.mining.archive_updates import (
        RANDOM,
        VERDICTS,
        first_labels,
        hard_labels,
        judged_at_random,
        known_truth,
        labels_since,
        on_these_pictures,
        outlined_by_radiologists,
        true_labels,
        verdicts_of,
    )
    from system.mining.label_updates import LabelUpdate, UpdateSource
    from system.mining.pools import LATEST, Columns, Moves, Pools, QuadrantCounts, Reason, Shard
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
    "first_labels",
    "hard_labels",
    "judged_at_random",
    "known_truth",
    "labels_since",
    "on_these_pictures",
    "outlined_by_radiologists",
    "purity",
    "quadrants",
    "read_pool",
    "true_labels",
    "verdicts_of",
    "write_pool",
]

__getattr__ = exported_by(__name__, "rules", "label_updates", "pools", "snapshot", "archive_updates")
