"""Mine a round: compare every weak image's report with its mask, and freeze the pools that teach the next model."""

import logging
import os
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from hashlib import sha256
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import ray
from numpy.typing import NDArray

from actors.miner import Miner
from system.archive.bucket import fetch
from system.mining import OUTLINED, Amendment, Columns, P0Schedule, Shard, p0_text, pool_name
from system.mining.journal import Superseded
from system.records import Split
from system.runs import Manifest, Stage

log = logging.getLogger(__name__)

NAMESPACE = "mammoloop"
MinerHandle = Any  # an actors.miner.Miner made remote; Ray's own types for that contradict each other
TRUTH = pa.schema([("image_key", pa.int64()), ("has_mass", pa.bool_())])
NO_TRUTH = TRUTH.empty_table()
NO_OUTLINES = OUTLINED.empty_table()
OUTLINED_FILE = "outlined.parquet"
_COLUMNS = ["image_key", "study_id", "side", "score", "mask_area_px", "error"]
_MESSAGES_AT_ONCE = 16  # shards under way to the miner


def run(  # noqa: PLR0913 - what a round is made of
    predictions: Stage,
    *,
    labels: pa.Table,
    images: pa.Table,
    schedule: P0Schedule,
    num_epochs: int,
    stage: Stage,
    round: int,  # noqa: A002 - the word of the paper and of the stages' names
    place: str = "",
    later: Sequence[Amendment] = (),
    outlined: pa.Table = NO_OUTLINES,
    truth: pa.Table = NO_TRUTH,
) -> Manifest:
    """Write one pool per distinct p0 of the round's epochs; needs a running Ray.

    predictions: finished, of this round;  labels: study_id, side, p_mass;  images: the archive's table, to keep out what may not teach
    stage: files pool_p0_*.arrow (system.mining.POOL) and outlined.parquet, metrics per p0: counts, moved, reasons, purity;  round: from 1
    place: where the miner's journal and snapshots are kept, s3://bucket/prefix; "" = in the run's folder
    later: what was said of the images since the run was pinned;  outlined: OUTLINED, images that teach as annotated ones from now on
    truth: TRUTH, for the pools' purity where it is known
    """

    def mine(attempt: Path) -> tuple[list[Path], dict[str, Any]]:
        with miner_of(stage.run, place=place) as (miner, driver):
            shards = _shards(predictions, run=stage.run, round_number=round, labels=labels, images=images)
            offered = _offer(miner, shards, driver=driver)
            offered |= {f"later_{words.kind}s": len(words) for words in later}
            ray.get([miner.amend.remote(words, driver=driver) for words in later])
            pq.write_table(outlined, attempt / OUTLINED_FILE)
            known = truth["image_key"].to_numpy(), np.asarray(truth["has_mass"], dtype=bool)
            files, facts = [attempt / OUTLINED_FILE], {"counts": {}, "moved": {}, "reasons": {}, "purity": {}}
            for p0 in schedule.values(num_epochs):
                files.append(_snapshot(miner, attempt, p0=p0, round_number=round))
                counts, moves = ray.get([ask.remote(p0, round_number=round) for ask in (miner.counts, miner.moved)])
                facts["counts"][p0_text(p0)] = counts
                facts["moved"][p0_text(p0)] = moves.counts()
                facts["reasons"][p0_text(p0)] = moves.reasons()
                facts["purity"][p0_text(p0)] = ray.get(miner.purity.remote(p0, *known, round_number=round))
                log.info("round %d, p0 %s: %s", round, p0_text(p0), counts)
        config = {"schedule": schedule.model_dump(), "num_epochs": num_epochs, "round": round}
        return files, {"rows": offered["images"], "config": config, "parents": [predictions.name], "metrics": offered | facts}

    return stage.once(mine)


@contextmanager
def miner_of(run: Path, *, place: str = "") -> Iterator[tuple[MinerHandle, int]]:
    """Give the run's miner, claimed for this driver, and the number under which the driver speaks to it.

    place: where it keeps its journal, s3://bucket/prefix; "" = the run's folder `miner`
    The miner lives while a stage mines: what it knows outlives it in the journal. It is detached, so that it outlives a
    driver that dies; the driver that comes next finds it by its name. A driver that was replaced leaves it to the one that replaced it.
    """
    folder = run.resolve()
    options = {"namespace": NAMESPACE, "lifetime": "detached", "get_if_exists": True, "num_cpus": 0.5}
    name = f"miner-{folder.name}-{sha256(str(folder).encode()).hexdigest()[:8]}"  # two runs of one name are two runs
    remote = ray.remote(Miner).options(name=name, max_restarts=-1, max_task_retries=-1, **options)
    miner: MinerHandle = remote.remote(place or str(folder / "miner"), run=str(folder))
    try:
        yield miner, ray.get(miner.claim.remote())
    except Superseded:
        raise
    except BaseException:
        ray.kill(miner)
        raise
    ray.kill(miner)


def _offer(miner: MinerHandle, shards: Iterator[tuple[Shard, int]], *, driver: int) -> dict[str, int]:
    """Send the shards, a few at a time, and return how many images were offered, had no label, or an error and were left out."""
    totals = {"images": 0, "errors": 0, "unlabelled": 0}
    while group := list(islice(shards, _MESSAGES_AT_ONCE)):
        ray.get([miner.offer.remote(shard, driver=driver) for shard, _ in group])
        for shard, errors in group:
            totals["images"] += len(shard.columns)
            totals["errors"] += errors
            totals["unlabelled"] += int(np.isnan(shard.columns.y).sum())
    return totals


def _shards(predictions: Stage, *, run: Path, round_number: int, labels: pa.Table, images: pa.Table) -> Iterator[tuple[Shard, int]]:
    """Give every predictions file as a message, and how many of its images had an error."""
    paths = predictions.paths()
    if not paths:
        raise ValueError(f"stage {predictions.name} has no files: there are no weak images to mine, run without rounds")
    for number, path in enumerate(paths):
        columns, errors = read_columns(path, labels=labels, images=images)
        attempt = int(path.parent.name.rpartition("_")[2])
        yield Shard(round_number, number, attempt, os.path.relpath(path.resolve(), run.resolve()), columns), errors


def read_columns(path: Path, *, labels: pa.Table, images: pa.Table) -> tuple[Columns, int]:
    """Return a predictions file's images with the label of their breast, and how many had an error and are left out.

    Raises ValueError where an image is unknown to the archive or held out for validation or test.
    """
    everything = pq.ParquetFile(path).read(_COLUMNS).to_pandas()
    frame = everything[everything["error"].isna()]
    _refuse_held_out(frame["image_key"], images=images)
    columns = Columns(
        keys=frame["image_key"].to_numpy(np.int64),
        y=labels_of(frame, labels),
        score=frame["score"].to_numpy(np.float32),
        has_mask=(frame["mask_area_px"] > 0).to_numpy(bool),
    )
    return columns, len(everything) - len(frame)


def labels_of(frame: pd.DataFrame, labels: pa.Table) -> NDArray[np.float32]:
    """Return p_mass of each row's breast, [N], NaN where it has none. y is per breast: CC and MLO share it.

    frame: columns study_id, side;  labels: rows of the archive's `labels`. Raises ValueError for a breast that is labelled twice.
    """
    breast = ["study_id", "side"]
    known = labels.select([*breast, "p_mass"]).to_pandas()
    if twice := int(known.duplicated(breast).sum()):
        raise ValueError(f"labels name {twice} breasts twice: give one row per study_id and side")
    return frame[breast].merge(known, on=breast, how="left")["p_mass"].to_numpy(np.float32, na_value=np.nan)


def _refuse_held_out(keys: pd.Series, *, images: pa.Table) -> None:
    splits = keys.map(images.select(["image_key", "split"]).to_pandas().set_index("image_key")["split"])
    if unknown := int(splits.isna().sum()):
        raise ValueError(f"{unknown} predicted images are not in the archive's version of this run: infer on its images only")
    if held_out := int(splits.isin([Split.VALIDATION, Split.TEST]).sum()):
        raise ValueError(f"{held_out} predicted images are held out for validation or test and must not teach: infer on weak images only")


def _snapshot(miner: MinerHandle, attempt: Path, *, p0: float, round_number: int) -> Path:
    """Put the pool's file into the attempt folder, as a link where it lies on the same storage and that has links."""
    written: Any = ray.get(miner.pool.remote(p0, round_number=round_number))
    path = attempt / pool_name(p0)
    if "://" in written:
        uri, _, name = written.rpartition("/")
        fetch(uri, name, path)
        return path
    try:
        os.link(written, path)
    except OSError:
        shutil.copyfile(written, path)
    return path
