"""Mine a round: compare every weak image's report with its mask, and freeze the pools that train the next model."""

import logging
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from hashlib import sha256
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import ray

from actors.miner import Miner
from system.errors import UserError
from system.files.bucket import fetch
from system.files.parquet import write_table
from system.mining import LabelUpdate, Shard
from system.mining.columns_in import read_columns
from system.mining.journal import Superseded
from system.records import P0, p0_text
from system.run.folder import RunFolder
from system.run.results import InferResult, Pool, PoolsResult
from system.run.stage import Stage, Written, link_or_copy
from system.schemas import OUTLINED

log = logging.getLogger(__name__)

NAMESPACE = "mammoloop"
MinerHandle = Any  # an actors.miner.Miner made remote; Ray's own types for that contradict each other
_OUTLINED_FILE = "outlined.parquet"
_MESSAGES_AT_ONCE = 16  # shards under way to the miner
_TRUTH = pa.schema([("image_key", pa.int64()), ("has_mass", pa.bool_())])


@dataclass(frozen=True)
class Inputs:
    """What a round is mined with, beside its predictions."""

    labels: pa.Table  # rows of the archive's `labels`: study_id, side, p_mass
    images: pa.Table  # rows of the archive's `images`, to leave out images that must not train
    updates: Sequence[LabelUpdate] = ()  # what the archive has learned of the images since the run was pinned
    # schemas.OUTLINED: images that train as annotated ones from now on.
    outlined: pa.Table = field(default_factory=OUTLINED.empty_table)
    # Columns image_key, has_mass: for the pools' purity where it is known.
    truth: pa.Table = field(default_factory=_TRUTH.empty_table)


def run(
    predictions: Stage[InferResult],
    inputs: Inputs,
    *,
    p0: Sequence[P0],
    round_number: int,
    miner_place: str = "",
    stage: Stage[PoolsResult],
) -> PoolsResult:
    """Write one pool per p0, step 1 first; needs a running Ray.

    predictions: finished, of this round
    p0: how sure a report must be, 0.5 to 1, in the order in which the round's epochs reach them
    round_number: from 1
    miner_place: where the miner's journal and snapshots are kept, s3://bucket/prefix; "" = in the run's folder
    stage: files pool_step_N.arrow (schemas.POOL) and outlined.parquet (schemas.OUTLINED)
    """

    def write_pools(attempt: Path) -> Written[PoolsResult]:
        with miner_of(stage.run, place=miner_place) as (miner, driver):
            offered = _offer(miner, _shards(predictions, inputs, round_number=round_number), driver=driver)
            ray.get([miner.update_labels.remote(update, driver=driver) for update in inputs.updates])
            write_table(inputs.outlined, attempt / _OUTLINED_FILE)
            pools = [
                _freeze(miner, attempt, step=step, p0=value, round_number=round_number, truth=inputs.truth)
                for step, value in enumerate(p0, start=1)
            ]
        result = PoolsResult(
            round=round_number,
            num_images=offered.images,
            num_errors=offered.errors,
            num_unlabelled=offered.unlabelled,
            num_updates={str(update.source): len(update) for update in inputs.updates},
            pools=tuple(pools),
            outlined=_OUTLINED_FILE,
        )
        files = [attempt / name for name in (_OUTLINED_FILE, *(pool.file for pool in pools))]
        summary = f"{result.num_images} images, {result.num_unlabelled} without a label"
        return Written(result, files=files, parents=[predictions.name], summary=summary)

    values = ", ".join(map(p0_text, p0))
    return stage.once(write_pools, amount=f"{predictions.result().num_images} images, p0 {values}")


@contextmanager
def miner_of(run: Path, *, place: str = "") -> Iterator[tuple[MinerHandle, int]]:
    """Give the run's miner, claimed for this driver, and the number under which the driver sends to it.

    place: where it keeps its journal, s3://bucket/prefix; "" = the run's folder `miner`
    The miner lives while a stage mines: its state outlives it in the journal. It is detached, so that it outlives a
    driver that dies; the driver that comes next finds it by its name. A driver that was superseded does not stop the
    miner, which serves the newer driver.
    """
    folder = run.resolve()
    options = {"namespace": NAMESPACE, "lifetime": "detached", "get_if_exists": True, "num_cpus": 0.5}
    name = f"miner-{folder.name}-{sha256(str(folder).encode()).hexdigest()[:8]}"  # two runs of one name are two runs
    remote = ray.remote(Miner).options(name=name, max_restarts=-1, max_task_retries=-1, **options)
    miner: MinerHandle = remote.remote(place or str(RunFolder(folder).miner), run=str(folder))
    try:
        yield miner, ray.get(miner.claim.remote())
    except Superseded:
        raise
    except BaseException:
        ray.kill(miner)
        raise
    ray.kill(miner)


def _freeze(miner: MinerHandle, attempt: Path, *, step: int, p0: P0, round_number: int, truth: pa.Table) -> Pool:
    """Write the pool of one p0 and return what is in it."""
    file = f"pool_step_{step}.arrow"
    known = truth["image_key"].to_numpy(), np.asarray(truth["has_mass"], dtype=bool)
    written, counts, moves, purity = ray.get(
        [
            miner.pool.remote(p0, round_number=round_number),
            miner.counts.remote(p0, round_number=round_number),
            miner.moved.remote(p0, round_number=round_number),
            miner.purity.remote(p0, *known, round_number=round_number),
        ]
    )
    _take_over(written, attempt / file)
    log.info("round %d, mine: p0 %s: %s", round_number, p0_text(p0), counts.line())
    return Pool(step, p0, file, counts, moves.counts(), moves.reasons(), purity)


@dataclass
class _Offered:
    """Images that were sent to the miner."""

    images: int = 0
    errors: int = 0  # could not be read; not among `images`
    unlabelled: int = 0  # no report, or one that gives no probability


def _offer(miner: MinerHandle, shards: Iterator[tuple[Shard, int]], *, driver: int) -> _Offered:
    """Send the shards, a few at a time, and return how many images they held."""
    total = _Offered()
    while group := list(islice(shards, _MESSAGES_AT_ONCE)):
        ray.get([miner.offer.remote(shard, driver=driver) for shard, _ in group])
        for shard, errors in group:
            total.images += len(shard.columns)
            total.errors += errors
            total.unlabelled += int(np.isnan(shard.columns.p_mass).sum())
    return total


def _shards(predictions: Stage[InferResult], inputs: Inputs, *, round_number: int) -> Iterator[tuple[Shard, int]]:
    """Give every predictions file as a message, and how many of its images had an error."""
    paths = predictions.paths()
    if not paths:
        raise UserError(f"stage {predictions.name} has no files: there are no weak images to mine, run without rounds")
    for number, path in enumerate(paths):
        columns, errors = read_columns(path, labels=inputs.labels, images=inputs.images)
        attempt = int(path.parent.name.rpartition("_")[2])
        source = os.path.relpath(path.resolve(), predictions.run.resolve())
        yield Shard(round_number, number, attempt, source, columns), errors


def _take_over(written: str, path: Path) -> None:
    """Put a snapshot of the miner into the attempt folder, as a link where the storage allows it."""
    if "://" in written:
        uri, _, name = written.rpartition("/")
        fetch(uri, name, path)
    else:
        link_or_copy(Path(written), path)
