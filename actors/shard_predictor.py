"""The shard predictor: writes one whole Parquet file for a shard of pairs, and returns times and counts.

A shard is what is done again after a fault. Its file is named by the shard's number, written under another name and
then renamed. So a shard may be done again by any process and any number of times with the same files as the result,
and those that are there need not be done again.
"""

import time
import uuid
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa

from actors.predictor import Batch, Predictor, Stopwatch
from system.errors import UserError
from system.files.parquet import write_table


@dataclass(frozen=True)
class ShardFacts:
    """Counts and times of one shard."""

    shard: int
    num_pairs: int
    num_images: int
    actor: str  # that did it
    began_s: float  # seconds since the epoch
    ended_s: float
    read_s: float  # of decoding, summed over the tasks that did it
    network_s: float
    refine_s: float  # CRF, masks, candidates, PNG of maps and masks
    write_s: float
    pixel_bytes: int  # decoded
    written_bytes: int


class ShardPredictor:
    """Turns shards of decoded pairs into files of schemas.PREDICTIONS."""

    def __init__(self, checkpoint: str, config: Mapping[str, object], folder: str) -> None:
        """Load the network. checkpoint, config: as of Predictor;  folder: where the files are written."""
        self.predictor = Predictor(checkpoint, config)
        self.folder = Path(folder)
        self.name = uuid.uuid4().hex

    def __call__(self, batch: Batch) -> pa.Table:
        """Write a shard's rows and return its ShardFacts as one row.

        Raises UserError when the batch is not one whole shard: its file would lack rows.

        batch: a whole shard; columns
            those of Predictor
            shard: its number
            shard_rows: pairs and padding that belong to it
            read_s: seconds of decoding
        """
        began_s, watch = time.time(), Stopwatch()
        shard = _whole_shard(batch)
        rows = self.predictor(batch, watch)
        with watch.on("write"):
            path = self._write(rows, shard)
        facts = ShardFacts(
            shard=shard,
            num_pairs=sum(bool(left or right) for left, right in zip(batch["left_id"], batch["right_id"], strict=True)),
            num_images=len(rows),
            actor=self.name,
            began_s=began_s,
            ended_s=time.time(),
            read_s=float(np.sum(batch["read_s"])),
            network_s=watch.seconds["network"],
            refine_s=watch.seconds["refine"],
            write_s=watch.seconds["write"],
            pixel_bytes=sum(
                len(pixels) for side in ("left", "right") for pixels in batch[f"{side}_pixels"] if pixels is not None
            ),
            written_bytes=path.stat().st_size,
        )
        return pa.Table.from_pylist([asdict(facts)])

    def _write(self, rows: pa.Table, shard: int) -> Path:
        path = self.folder / shard_name(shard)
        write_table(rows, path)
        return path


def shard_name(shard: int) -> str:
    """Return the name of a shard's file."""
    return f"part_{shard:06d}.parquet"


def _whole_shard(batch: Batch) -> int:
    """Return the number of the shard that the batch is."""
    shards, expected = np.unique(batch["shard"]), int(batch["shard_rows"][0])
    if len(shards) != 1 or len(batch["shard"]) != expected:
        raise UserError(
            f"a batch holds {len(batch['shard'])} rows of {len(shards)} shards, expected the {expected} of one: "
            "Ray Data cut or joined blocks; set resources.infer.shard_bytes lower"
        )
    return int(shards[0])
