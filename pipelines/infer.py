"""Infer: run a checkpoint over bilateral pairs and keep one row per image, with map, mask and candidates.

Pairs are cut into shards; a shard is decoded by a task, answered and written by an actor (actors/shard_predictor.py).
A killed driver goes on with the shards whose files are not there.
"""

import hashlib
import json
import logging
import math
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Literal

import pyarrow as pa
import ray.data
from ray.data import ActorPoolStrategy, DataContext

from actors.predictor import PredictorConfig
from actors.shard_predictor import ShardFacts, shard_name
from pipelines import room
from pipelines.workers.decode import decode_watched
from pipelines.workers.follow import follow
from pipelines.workers.infer_summary import InferProgress, in_words, summarise
from pipelines.workers.restarts import by_actors
from pipelines.workers.watched import WatchedPredictor
from system.archive import Archive
from system.errors import UserError
from system.files.atomic import write_text
from system.nets import read_card, weights_digest
from system.refine import InferConfig
from system.resources import InferResources
from system.run.ahead import Ahead
from system.run.code import code_digest
from system.run.maps_kept import Kept, kept_rows, take_over
from system.run.results import InferResult
from system.run.stage import Stage, Written
from system.watchdog import StallLimit

log = logging.getLogger(__name__)

SHARDS_PER_PREDICTOR = 8  # enough that reading, network and writing overlap also on small archives
_COLUMNS = ["pair_key", "study_id", "view", "left_id", "left_key", "left_sha", "right_id", "right_key", "right_sha"]
NOTES = "stood_still.txt"  # in an attempt: a line for each process that was ended because it stood still
_SHARD_SIZE = "shard_size.txt"  # in an attempt: another start with other resources cuts the same shards
_NUM_THREADS = {"num_threads": 0}  # of the resources: changes no row
_LEAST_CPUS = 1e-4  # Ray takes requests that differ by less for equal
_EVEN_ODDS = 0.5  # where no mask is read: the mask threshold has no effect


@dataclass(frozen=True)
class InferJob:
    """What an inference is done with."""

    archive_uri: str
    checkpoint: Path  # folder of nets.write_model
    config: InferConfig
    resources: InferResources
    mask_threshold: float  # probability that counts as even odds before the CRF, 0 to 1
    keep_maps: Literal["masked", "all"] = "masked"  # of the images with a mask, 8 bits; of all, 16 bits


def for_mining(
    pairs: pa.Table, job: InferJob, *, stage: Stage[InferResult], earlier: Sequence[Stage[InferResult]] = ()
) -> InferResult:
    """Write the predictions of weak images: masks refined by the CRF, maps where there is a mask. Needs a running Ray.

    pairs: schemas.PAIRS
    stage: files part_000000.parquet and so on, of schemas.PREDICTIONS
    earlier: finished, by this checkpoint; what these have looked at with the same settings is taken over
    Raises UserError when no node has the GPUs, or the checkpoint was trained on another size of view.
    """
    return _infer(pairs, job, stage=stage, earlier=earlier)


def look_ahead(pairs: pa.Table, job: InferJob, *, ahead: Ahead) -> tuple[list[Kept], int]:
    """Write the predictions of those weak images that the model has not looked at, as `for_mining` does.

    Returns the rows that stand for all of the pairs, and how many images were looked at now.
    """
    _, left = _known(pairs, job, ahead.parts())
    num_images = for_mining(left, job, stage=ahead.next()).num_images if len(left) else 0
    kept, _ = _known(pairs, job, ahead.parts())
    return kept, num_images


def _known(pairs: pa.Table, job: InferJob, earlier: Sequence[Stage[InferResult]]) -> tuple[list[Kept], pa.Table]:
    """Return what of earlier inferences by the job's checkpoint stands for pairs, and the pairs that are left."""
    settings = _predictor_config(Archive.open(job.archive_uri), job)
    return kept_rows(pairs, [path for stage in earlier for path in _files_by(stage, settings)])


def whole_maps(
    pairs: pa.Table,
    *,
    archive_uri: str,
    checkpoint: Path,
    config: InferConfig,
    resources: InferResources,
    stage: Stage[InferResult],
) -> InferResult:
    """Write the predictions of images that are evaluated or shown: 16-bit maps of all, no CRF; else as `for_mining`."""
    without_crf = config.changed(refine=config.refine.changed(backend="none"))
    job = InferJob(archive_uri, checkpoint, without_crf, resources, _EVEN_ODDS, keep_maps="all")
    return _infer(pairs, job, stage=stage)


def _infer(
    pairs: pa.Table, job: InferJob, *, stage: Stage[InferResult], earlier: Sequence[Stage[InferResult]] = ()
) -> InferResult:
    if stage.finished:
        return stage.result()
    archive = Archive.open(job.archive_uri)
    settings = _predictor_config(archive, job)
    kept, pairs = _known(pairs, job, earlier)
    ordered = pad_pairs(pairs, batch_pairs=settings.batch_pairs)

    def infer(attempt: Path) -> Written[InferResult]:
        shards = cut_shards(ordered, size=_shard_size(attempt, len(ordered), settings, job.resources))
        files = [attempt / shard_name(number) for number in range(len(shards) + len(kept))]
        left = [shard for shard, path in zip(shards, files[: len(shards)], strict=True) if not path.exists()]
        for rows, path in zip(kept, files[len(shards) :], strict=True):
            if not path.exists():
                take_over(rows, path)
        if len(left) < len(shards):
            done = len(shards) - len(left)
            log.info("%s: %d of %d shards are there from an earlier start", stage.title, done, len(shards))
        began_s = time.time()
        progress = InferProgress(stage.title, num_pairs=sum(_num_pairs(shard) for shard in left))
        if left:
            with follow(attempt / NOTES, describe=lambda line: f"{stage.title}: {line}"):
                for facts in _stream(left, attempt.resolve(), archive=archive, job=job, settings=settings):
                    progress.add(facts)
        result = summarise(files, progress.facts, began_s=began_s, ended_s=time.time())
        num_kept = sum(len(rows.keys) for rows in kept)
        result = replace(
            result,
            flip_average=settings.flip_average,
            num_taken_over=num_kept,
            num_earlier_shards=result.num_earlier_shards - len(kept),
        )
        return Written(result, files=files, settings=settings, summary=in_words(result))

    inputs = _digest(settings, archive, ordered, checkpoint=job.checkpoint, kept=kept)
    known = f", {sum(len(rows.keys) for rows in kept)} images were looked at before" if kept else ""
    return stage.once(infer, inputs=inputs, amount=f"{_num_pairs(ordered)} pairs{known}")


def _files_by(stage: Stage[InferResult], settings: PredictorConfig) -> list[Path]:
    """Return the files of an inference with the same settings and code; none of another."""
    manifest = stage.manifest()
    if manifest is None or manifest.code_digest != code_digest():
        return []
    return stage.paths() if manifest.settings | _NUM_THREADS == settings.model_dump(mode="json") | _NUM_THREADS else []


def _predictor_config(archive: Archive, job: InferJob) -> PredictorConfig:
    """Return the predictors' settings. Raises UserError when the checkpoint was trained on another size of view."""
    card, imaging = read_card(job.checkpoint), archive.imaging
    if (card.height_px, card.width_px) != (imaging.height_px, imaging.width_px):
        raise UserError(
            f"checkpoint {job.checkpoint.name} was trained on {card.height_px} x {card.width_px} px, the archive keeps "
            f"{imaging.height_px} x {imaging.width_px}: use a checkpoint of this archive's size, "
            "or ingest at the checkpoint's"
        )
    return PredictorConfig(
        method=card.method,
        height_px=imaging.height_px,
        width_px=imaging.width_px,
        batch_pairs=job.config.batch_pairs,
        mask_threshold=job.mask_threshold,
        keep_maps=job.keep_maps,
        precision=job.config.precision,
        flip_average=job.config.flip_average,
        device="cuda" if job.resources.predictor_gpus else "cpu",
        num_threads=max(1, int(job.resources.predictor_cpus)),
        refine=job.config.refine,
    )


def pad_pairs(pairs: pa.Table, *, batch_pairs: int) -> pa.Table:
    """Return the pairs sorted by key and filled up to whole batches with pairs of no breast, which give no rows.

    A pair always meets the same others in its batch, however the batches are dealt out.
    """
    pairs = pairs.select(_COLUMNS).sort_by("pair_key")
    missing = -len(pairs) % batch_pairs
    padding = {name: 0 if pa.types.is_integer(pairs.schema.field(name).type) else "" for name in _COLUMNS}
    return pa.concat_tables([pairs, pa.Table.from_pylist([padding] * missing, schema=pairs.schema)]).combine_chunks()


def shard_size(num_pairs: int, *, batch_pairs: int, image_bytes: int, resources: InferResources) -> int:
    """Return how many pairs make a shard: whole batches, within shard_bytes, several shards a predictor."""
    by_memory = resources.shard_bytes // (2 * image_bytes * batch_pairs)
    by_share = math.ceil(num_pairs // batch_pairs / (SHARDS_PER_PREDICTOR * resources.num_predictors))
    return batch_pairs * max(1, min(by_memory, by_share))


def cut_shards(pairs: pa.Table, *, size: int) -> list[pa.Table]:
    """Return shards of `size` pairs; each row has its shard's number and how many rows that has."""
    shards = [pairs.slice(start, size) for start in range(0, len(pairs), size)]
    return [
        shard.append_column("shard", pa.repeat(number, len(shard))).append_column(
            "shard_rows", pa.repeat(len(shard), len(shard))
        )
        for number, shard in enumerate(shards)
    ]


def _shard_size(attempt: Path, num_pairs: int, settings: PredictorConfig, resources: InferResources) -> int:
    """Return the size of the attempt's shards; an attempt that is taken up again keeps the size it was begun with."""
    kept = attempt / _SHARD_SIZE
    if kept.exists():
        return int(kept.read_text(encoding="utf8"))
    image_bytes = 2 * settings.height_px * settings.width_px
    size = shard_size(num_pairs, batch_pairs=settings.batch_pairs, image_bytes=image_bytes, resources=resources)
    write_text(kept, str(size))
    return size


def _num_pairs(shard: pa.Table) -> int:
    sides = zip(shard["left_id"].to_pylist(), shard["right_id"].to_pylist(), strict=True)
    return sum(bool(left or right) for left, right in sides)


def _stream(
    shards: list[pa.Table], folder: Path, *, archive: Archive, job: InferJob, settings: PredictorConfig
) -> Iterator[ShardFacts]:
    """Send shards through pixels (tasks) and predictions (actors), and give what each came to as its file is there."""
    resources = job.resources
    _check_gpus(resources)
    room.check_inference(resources)
    limit = StallLimit(resources.stall_s, str(folder / NOTES))
    context = DataContext.get_current().copy()
    context.target_max_block_size = None  # a shard is one block from end to end: its file is written in one go
    with DataContext.current(context):
        pixels = ray.data.from_arrow([*shards]).map_batches(
            # Ray's type of the function is of all batch formats
            partial(decode_watched, archive=archive, limit=limit),  # type: ignore[arg-type]
            batch_size=None,
            batch_format="pyarrow",
            num_cpus=decoding_cpus(resources),
        )
        facts = by_actors(
            pixels,
            WatchedPredictor,
            fn_constructor_args=(str(job.checkpoint.resolve()), settings.model_dump(mode="json"), str(folder), limit),
            batch_size=None,
            batch_format="numpy",
            compute=_predictors(resources),
            num_cpus=resources.predictor_cpus,
            num_gpus=resources.predictor_gpus or None,
        )
        for row in facts.iter_rows():
            yield ShardFacts(**row)


def decoding_cpus(resources: InferResources) -> float:
    """Return the logical CPUs of a decoding task: others than a predictor's.

    Where they are the same, and neither wants a GPU, Ray Data makes one process of the two, in which the network waits
    for the decoding (OperatorFusionRule; ray 2.60, are_remote_args_compatible).
    """
    cpus = resources.decode_cpus
    return cpus - _LEAST_CPUS if cpus == resources.predictor_cpus else cpus


def _predictors(resources: InferResources) -> ActorPoolStrategy:
    """Return how many actors Ray Data starts, and how many shards it gives each at a time."""
    fewest, most, calls = resources.num_predictors, resources.max_predictors, resources.calls_at_once
    return ActorPoolStrategy(
        size=None if most else fewest,
        min_size=fewest if most else None,
        max_size=most or None,
        max_concurrent_calls_per_actor=calls,
        enable_true_multi_threading=calls > 1,
    )


def _check_gpus(resources: InferResources) -> None:
    """Raise UserError where Ray would wait for ever for a GPU that no node has."""
    if resources.predictor_gpus and not ray.cluster_resources().get("GPU"):
        raise UserError(
            f"resources.infer.predictor_gpus is {resources.predictor_gpus:g}, but no node of the cluster has a "
            "GPU: set it to 0 to run on CPUs, or start where there is one"
        )


def _digest(
    settings: PredictorConfig, archive: Archive, pairs: pa.Table, *, checkpoint: Path, kept: Sequence[Kept]
) -> str:
    """Return a digest of all that decides the rows: code, settings, weights, archive, batches, and what is kept."""
    recipe = settings.model_dump(mode="json", exclude={"num_threads"})  # of the resources
    facts = [code_digest(), recipe, archive.uri, archive.key_fingerprint]
    digest = hashlib.sha256(json.dumps(facts).encode())
    digest.update(weights_digest(checkpoint).encode())
    digest.update(json.dumps(pairs.to_pydict(), sort_keys=True).encode())
    digest.update(json.dumps([[str(rows.file), *rows.keys] for rows in kept]).encode())
    return digest.hexdigest()
