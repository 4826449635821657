"""Inference's actors and tasks, each beside a process that ends it when it stands still: Ray then starts another."""

from collections.abc import Mapping

import pyarrow as pa

from actors.predictor import Batch
from actors.shard_predictor import ShardPredictor
from pipelines.workers.decode import decode_pairs
from system.archive import Archive
from system.watchdog import StallLimit, Watchdog, watchdog


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


def decode_watched(batch: pa.Table, *, archive: Archive, limit: StallLimit) -> pa.Table:
    """Read the pixels of a shard, as decode_pairs does; the process is ended where that takes longer than the limit."""
    with watchdog(limit, who="a decoding task").during(f"shard {batch['shard'][0].as_py()}"):
        return decode_pairs(batch, archive=archive)
