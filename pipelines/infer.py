"""Infer: run a checkpoint over bilateral pairs and keep one row per image, with map, mask and candidates."""

import logging
import math
import time
from functools import partial
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import ray.data
from ray.data import ActorPoolStrategy

from actors.predictor import REMOVAL_WARNING, Predictor, PredictorConfig
from system.archive import Archive
from system.archive.tables import PREDICTIONS
from system.nets import read_card
from system.refine import InferConfig
from system.runs import Manifest, Stage

log = logging.getLogger(__name__)

BLOCKS_PER_PREDICTOR = 8  # enough that reading, network and writing overlap also on small archives
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
    """

    def infer(attempt: Path) -> tuple[list[Path], dict[str, Any]]:
        archive = Archive.open(archive_uri)
        settings = _predictor_config(archive, checkpoint=checkpoint, config=config, mask_threshold=mask_threshold, keep_maps=keep_maps)
        start = time.monotonic()
        if len(pairs):
            predictions = _stream(pairs, archive=archive, checkpoint=checkpoint, config=config, settings=settings)
            predictions.write_parquet(str(attempt.resolve()))
        files = _in_order_of_keys(attempt)
        metrics = _summary(files, duration_s=time.monotonic() - start)
        log.info("%s: %s", stage.name, metrics)
        return files, {"rows": metrics["images"], "config": settings.model_dump(mode="json"), "metrics": metrics}

    return stage.once(infer)


def read_predictions(stage: Stage) -> pa.Table:
    """Return all rows of a finished stage, by image_key; for sets that fit in memory (validation, test)."""
    tables = [pq.ParquetFile(path).read() for path in stage.paths()]
    return pa.concat_tables([PREDICTIONS.empty_table(), *tables]).sort_by("image_key")


def decode_pairs(batch: pa.Table, *, archive: Archive) -> pa.Table:
    """Read the pixels of pairs; what cannot be read becomes text in `error`.

    batch: pair rows; the columns left_sha and right_sha give way to left_pixels, right_pixels (uint16 bytes or null) and error
    """
    rows = batch.to_pylist()
    pixels: dict[str, list[bytes | None]] = {"left": [], "right": []}
    errors: list[str | None] = []
    for row in rows:
        read = {name: _read(archive, row[f"{name}_sha"]) for name in pixels}
        failed = [f"{name} breast: {found}" for name, found in read.items() if isinstance(found, str)]
        errors.append("; ".join(failed) or None)
        for name, found in read.items():
            pixels[name].append(None if failed or not isinstance(found, bytes) else found)
    for name, column in pixels.items():
        batch = batch.drop_columns([f"{name}_sha"]).append_column(f"{name}_pixels", pa.array(column, pa.binary()))
    return batch.append_column("error", pa.array(errors, pa.string()))


def _read(archive: Archive, sha: str) -> bytes | str | None:
    """Return a view's uint16 pixels as bytes, None for a missing breast, or the code of what is wrong."""
    if not sha:
        return None
    try:
        pixels = archive.pixels(sha)
    except FileNotFoundError:
        return "pixels_missing"
    except ValueError:
        return "pixels_damaged"
    except OSError as error:
        return f"pixels_unreadable ({type(error).__name__})"
    expected = (archive.imaging.height_px, archive.imaging.width_px)
    return pixels.tobytes() if pixels.dtype == np.uint16 and pixels.shape == expected else "pixel_size"


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


def _stream(pairs: pa.Table, *, archive: Archive, checkpoint: Path, config: InferConfig, settings: PredictorConfig) -> ray.data.Dataset:
    """Return pair rows → pixels (tasks) → predictions (actors), not yet executed."""
    image_bytes = 2 * settings.height_px * settings.width_px
    return (
        ray.data.from_arrow(split_blocks(pairs, image_bytes=image_bytes, config=config))
        .map_batches(
            partial(decode_pairs, archive=archive),
            batch_size=config.batch_pairs,
            batch_format="pyarrow",
            num_cpus=config.decode_cpus,
        )
        .map_batches(
            Predictor,
            fn_constructor_args=(str(checkpoint.resolve()), settings.model_dump(mode="json")),
            batch_size=config.batch_pairs,
            batch_format="numpy",
            compute=ActorPoolStrategy(size=config.num_predictors),
            num_cpus=config.predictor_cpus,
            num_gpus=config.predictor_gpus,
        )
    )


def split_blocks(pairs: pa.Table, *, image_bytes: int, config: InferConfig) -> list[pa.Table]:
    """Cut sorted pairs into blocks of whole batches, so that a pair always meets the same others in its batch.

    The last block is filled up with pairs of no breast, which give no rows.
    """
    pairs = pairs.select(_COLUMNS).sort_by("pair_key")
    missing = -len(pairs) % config.batch_pairs
    nobody = {name: 0 if pa.types.is_integer(pairs.schema.field(name).type) else "" for name in _COLUMNS}
    pairs = pa.concat_tables([pairs, pa.Table.from_pylist([nobody] * missing, schema=pairs.schema)]).combine_chunks()
    num_batches = len(pairs) // config.batch_pairs
    by_memory = config.block_bytes // (2 * image_bytes * config.batch_pairs)
    by_share = math.ceil(num_batches / (BLOCKS_PER_PREDICTOR * config.num_predictors))
    size = config.batch_pairs * max(1, min(by_memory, by_share))
    return [pairs.slice(start, size) for start in range(0, len(pairs), size)]


def _in_order_of_keys(attempt: Path) -> list[Path]:
    """Rename what was written to part_00000.parquet …, by first key, so that shard numbers mean the same in every run."""
    written = {path: pq.ParquetFile(path).read(["image_key"])["image_key"] for path in attempt.glob("*.parquet")}
    filled = sorted((keys[0].as_py(), path) for path, keys in written.items() if len(keys))
    return [path.rename(attempt / f"part_{number:05d}.parquet") for number, (_, path) in enumerate(filled)]


def _summary(files: list[Path], *, duration_s: float) -> dict[str, Any]:
    """Return the counts a reader wants to see; duration_s includes the start of the actors."""
    columns = ["mask_area_px", "crf_removed", "error"]
    rows = pa.concat_tables([PREDICTIONS.empty_table().select(columns), *(pq.ParquetFile(path).read(columns) for path in files)])
    area_px, removed = (rows[name].fill_null(0).to_numpy() for name in columns[:2])
    return {
        "images": len(rows),
        "errors": len(rows) - rows["error"].null_count,
        "masked": int((area_px > 0).sum()),
        "crf_warnings": int((removed > REMOVAL_WARNING).sum()),
        "duration_s": round(duration_s, 3),
        "images_per_s": round(len(rows) / duration_s, 2),
    }
