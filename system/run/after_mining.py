"""Whether a round of a run trains, decided from its mined pools."""

from system.files.parquet import read_table
from system.rounds import Mined, RoundsConfig, Stop, Train, decide_training
from system.run.results import PoolsResult
from system.run.systems import Round


def training_of(this: Round, pools: PoolsResult, *, config: RoundsConfig) -> Train | Stop:
    """Return whether a round trains. pools: its own. Raises UserError where the table of outlines is damaged."""
    outlined = read_table(this.pools.path(pools.outlined))
    mined = [Mined(pool.p0, pool.counts) for pool in pools.pools]
    return decide_training(this.number, mined, num_outlined=len(outlined), config=config)
