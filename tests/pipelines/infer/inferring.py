"""Pairs of a small archive, and their inference by a small network."""

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from pipelines import infer
from system.archive import Archive
from system.records import image_key
from system.refine import CrfParams, InferConfig, RefineConfig
from system.resources import InferResources
from system.run.results import InferResult
from system.run.stage import Stage
from system.schemas import PAIRS, PREDICTIONS

SIZE = 64
IMAGE_BYTES = 2 * SIZE * SIZE
PATIENCE_S = 180
CONFIG = InferConfig(
    batch_pairs=2,
    refine=RefineConfig(params=CrfParams().scaled(0.1), candidate_threshold=0.02, min_candidate_px=4),
    precision="fp32",
)
RESOURCES = InferResources(predictor_cpus=0.5, decode_cpus=0.25)
SHARDED = RESOURCES.changed(shard_bytes=1)  # one batch a shard
NUM_SHARDS, NUM_IMAGES = 20, 79  # of `many`


def put(archive: Archive, seed: int) -> str:
    pixels = np.zeros((SIZE, SIZE), dtype=np.uint16)
    pixels[4:60, :40] = np.random.default_rng(seed).integers(5000, 60000, (56, 40))
    return archive.put_pixels(pixels)


def pair(archive: Archive, number: int, *, right: bool = True) -> dict[str, Any]:
    row: dict[str, Any] = {
        "pair_key": image_key(f"pair{number}"),
        "study_id": f"study{number}",
        "patient_id": f"patient{number}",
        "view": "MLO",
    }
    for name, exists in (("left", True), ("right", right)):
        identity = f"{name}{number}" if exists else ""
        sha = put(archive, 2 * number + (name == "right")) if exists else ""
        row |= {f"{name}_id": identity, f"{name}_key": image_key(identity) if exists else 0, f"{name}_sha": sha}
    return row


def table(rows: list[dict[str, Any]]) -> pa.Table:
    return pa.Table.from_pylist(rows, schema=PAIRS)


def damage(archive: Archive, sha: str) -> None:
    path = Path(archive.uri) / "pixels" / sha[:2] / f"{sha}.png"
    path.write_bytes(path.read_bytes()[:60])


def predictions_of(run: Path, name: str = "predictions") -> Stage[InferResult]:
    return Stage(run, name, InferResult)


def all_rows(stage: Stage[InferResult]) -> pa.Table:
    """Return all rows of a finished stage, by image_key."""
    tables = [pq.ParquetFile(path).read() for path in stage.paths()]
    return pa.concat_tables([PREDICTIONS.empty_table(), *tables]).sort_by("image_key")


def infer_into(
    stage: Stage[InferResult],
    pairs: pa.Table,
    *,
    archive: Archive,
    checkpoint: Path,
    resources: InferResources = RESOURCES,
) -> InferResult:
    return infer.whole_maps(
        pairs, archive_uri=archive.uri, checkpoint=checkpoint, config=CONFIG, resources=resources, stage=stage
    )


def mining(archive: Archive, checkpoint: Path, mask_threshold: float) -> infer.InferJob:
    return infer.InferJob(archive.uri, checkpoint, CONFIG, RESOURCES, mask_threshold)


def images_of(pairs: pa.Table) -> set[str]:
    return {*pairs["left_id"].to_pylist(), *pairs["right_id"].to_pylist()} - {""}
