"""Infer: run a checkpoint over bilateral pairs and keep one row per image, with map, mask and candidates.

Pairs are cut into shards; a shard is decoded by a task, answered and written by an actor (actors/shard_predictor.py). A killed driver
goes on with the shards whose files are not there.
"""

import hashlib
import json
import logging
import math
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any, Literal

import pyarrow as pa
import pyarrow.parquet as pq
import ray.data
from ray.data import ActorPoolStrategy, DataContext

from actors.predictor import PredictorConfig
from actors.shard_predictor import ShardFacts, ShardPredictor, shard_name
from pipelines.decode import decode_pairs
from pipelines.infer_summary import Progress, in_words, summarise
from system.archive import Archive
from system.archive.tables import PREDICTIONS
from system.nets import read_card, weights_digest
from system.refine import InferConfig
from system.runs import Manifest, Stage, code_digest

log = logging.getLogger(__name__)

SHARDS_PER_PREDICTOR = 8  # enough that reading, network and writing overlap also on small archives
_COLUMNS = ["pair_key", "study_id", "view", "left_id", "left_key", "left_sha", "right_id", "right_key", "right_sha"]


def run(  # noqa: PLR0913 - what is inferred, from where, by what, where to
    pairs: pa.Table,
    *,
    archive_uri: str,
    checkpoint: Path,
    config: InferConfig,
    stage: Stage,
    mask_threshold: float,
    keep_maps: Literal["masked", "all"],
) -> Manifest:
    """Write the predictions of all images of `pairs`; needs a running Ray.

    pairs: archive.pairs.PAIRS;  checkpoint: folder of nets.write_model;  mask_threshold: probability that counts as even odds
    keep_maps: masked = 8-bit maps of images with a mask (weak inference), all = 16-bit maps of every image (evaluation)
    stage: files part_000000.parquet and so on, of PREDICTIONS; metrics as infer_summary says. Raises ValueError when no node has the GPUs.
    """
    if done := stage.manifest():
        return done
    archive = Archive.open(archive_uri)
    settings = _predictor_config(archive, checkpoint=checkpoint, config=config, mask_threshold=mask_threshold, keep_maps=keep_maps)
    shards = split_shards(pairs, image_bytes=2 * settings.height_px * settings.width_px, config=config)

    def infer(attempt: Path) -> tuple[list[Path], dict[str, Any]]:
        files = [attempt / shard_name(number) for number in range(len(shards))]
        left = [shard for shard, path in zip(shards, files, strict=True) if not path.exists()]
        if len(left) < len(shards):
            log.info("%s: %d of %d shards are there from an earlier start", stage.name, len(shards) - len(left), len(shards))
        began_s, progress = time.time(), Progress(stage.name, num_pairs=sum(_num_pairs(shard) for shard in left))
        if left:
            for facts in _stream(left, attempt.resolve(), archive=archive, checkpoint=checkpoint, config=config, settings=settings):
                progress.add(facts)
        metrics = summarise(files, progress.facts, began_s=began_s, ended_s=time.time())
        log.info("%s: %s", stage.name, in_words(metrics))
        return files, {"rows": metrics["images"], "config": settings.model_dump(mode="json"), "metrics": metrics}

    return stage.once(infer, inputs=_digest(settings, archive, shards, checkpoint=checkpoint))


def read_predictions(stage: Stage) -> pa.Table:
    """Return all rows of a finished stage, by image_key; for sets that fit in memory (validation, test)."""
    tables = [pq.ParquetFile(path).read() for path in stage.paths()]
    return pa.concat_tables([PREDICTIONS.empty_table(), *tables]).sort_by("image_key")


def _predictor_config(
    archive: Archive, *, checkpoint: Path, config: InferConfig, mask_threshold: float, keep_maps: Literal["masked", "all"]
) -> PredictorConfig:
    """Return what the predictors are told. Raises ValueError when the checkpoint was trained on another size of view."""
    card, imaging = read_card(checkpoint), archive.imaging
    if (card.height_px, card.width_px) != (imaging.height_px, imaging.width_px):
        raise ValueError(
            f"checkpoint {checkpoint.name} was trained on {card.height_px} x {card.width_px} px, the archive keeps "
            f"{imaging.height_px} x {imaging.width_px}: use a checkpoint of this archive's size, or ingest at the checkpoint's"
        )
    return PredictorConfig(
        method=card.method,
        height_px=imaging.height_px,
        width_px=imaging.width_px,
        batch_pairs=config.batch_pairs,
        mask_threshold=mask_threshold,
        keep_maps=keep_maps,
        precision=config.precision,
        device="cuda" if config.predictor_gpus else "cpu",
        num_threads=max(1, int(config.predictor_cpus)),
        refine=config.refine,
    )


def split_shards(pairs: pa.Table, *, image_bytes: int, config: InferConfig) -> list[pa.Table]:
    """Cut sorted pairs into shards of whole batches, so that a pair always meets the same others in its batch.

    Each row knows its shard and how many rows that has. The last shard is filled up with pairs of no breast, which give no rows.
    """
    pairs = pairs.select(_COLUMNS).sort_by("pair_key")
    missing = -len(pairs) % config.batch_pairs
    nobody = {name: 0 if pa.types.is_integer(pairs.schema.field(name).type) else "" for name in _COLUMNS}
    pairs = pa.concat_tables([pairs, pa.Table.from_pylist([nobody] * missing, schema=pairs.schema)]).combine_chunks()
    num_batches = len(pairs) // config.batch_pairs
    by_memory = config.shard_bytes // (2 * image_bytes * config.batch_pairs)
    by_share = math.ceil(num_batches / (SHARDS_PER_PREDICTOR * config.num_predictors))
    size = config.batch_pairs * max(1, min(by_memory, by_share))
    shards = [pairs.slice(start, size) for start in range(0, len(pairs), size)]
    return [
        shard.append_column("shard", pa.repeat(number, len(shard))).append_column("shard_rows", pa.repeat(len(shard), len(shard)))
        for number, shard in enumerate(shards)
    ]


def _num_pairs(shard: pa.Table) -> int:
    return sum(bool(left or right) for left, right in zip(shard["left_id"].to_pylist(), shard["right_id"].to_pylist(), strict=True))


def _stream(
    shards: list[pa.Table], folder: Path, *, archive: Archive, checkpoint: Path, config: InferConfig, settings: PredictorConfig
) -> Iterator[ShardFacts]:
    """Send shards through pixels (tasks) and predictions (actors), and give what each came to as its file is there."""
    _check_gpus(config)
    context = DataContext.get_current().copy()
    context.target_max_block_size = None  # a shard is one block from end to end: its file is written in one go
    with DataContext.current(context):
        facts = (
            ray.data.from_arrow(shards)
            .map_batches(partial(decode_pairs, archive=archive), batch_size=None, batch_format="pyarrow", num_cpus=config.decode_cpus)
            .map_batches(
                ShardPredictor,
                fn_constructor_args=(str(checkpoint.resolve()), settings.model_dump(mode="json"), str(folder)),
                batch_size=None,
                batch_format="numpy",
                compute=_pool(config),
                num_cpus=config.predictor_cpus,
                num_gpus=config.predictor_gpus or None,
            )
        )
        for row in facts.iter_rows():
            yield ShardFacts(**row)


def _pool(config: InferConfig) -> ActorPoolStrategy:
    size = (
        {"min_size": config.num_predictors, "max_size": config.max_predictors} if config.max_predictors else {"size": config.num_predictors}
    )
    calls = config.calls_at_once
    return ActorPoolStrategy(**size, max_concurrent_calls_per_actor=calls, enable_true_multi_threading=calls > 1)


def _check_gpus(config: InferConfig) -> None:
    """Raise ValueError where Ray would wait for ever for a GPU that no node has."""
    if config.predictor_gpus and not ray.cluster_resources().get("GPU"):
        raise ValueError(
            f"infer.predictor_gpus is {config.predictor_gpus:g}, but no node of the cluster has a GPU: set it to 0 to run on CPUs, "
            "or start where there is one"
        )


def _digest(settings: PredictorConfig, archive: Archive, shards: list[pa.Table], *, checkpoint: Path) -> str:
    """Return what stands for all that decides the rows: code, settings, weights, archive, and which pairs stand in which shard."""
    digest = hashlib.sha256(json.dumps([code_digest(), settings.model_dump(mode="json"), archive.uri, archive.key_fingerprint]).encode())
    digest.update(weights_digest(checkpoint).encode())
    for shard in shards:
        digest.update(json.dumps(shard.to_pydict(), sort_keys=True).encode())
    return digest.hexdigest()
