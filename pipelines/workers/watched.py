"""Inference's actors, each beside a process that ends it when it stands still: Ray then starts another."""

from collections.abc import Mapping

import pyarrow as pa

from actors.predictor import Batch
from actors.shard_predictor import ShardPredictor
from system.watchdog import StallLimit, Watchdog


class WatchedPredictor(ShardPredictor):
    """A ShardPredictor that is ended where a shard takes longer than the limit."""

    def __init__(self, checkpoint: str, config: Mapping[str, object], folder: str, limit: StallLimit) -> None:
        """Load the network. checkpoint, config, folder: as of ShardPredictor."""
        self._watch = Watchdog(limit, who="a predictor")
        with self._watch.during("loading the network"):
            super().__init__(checkpoint, config, folder)

    def __call__(self, batch: Batch) -> pa.Table:
        """Write a shard's rows, as ShardPredictor does."""
        with self._watch.during(f"shard {batch['shard'][0]}"):
            return super().__call__(batch)
