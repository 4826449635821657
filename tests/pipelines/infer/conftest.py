"""An archive, forty pairs of it, and what an undisturbed inference makes of them."""

from pathlib import Path

import pyarrow.parquet as pq
import pytest

from system.archive import Archive
from system.imaging import ImagingConfig
from system.run.results import InferResult
from system.run.stage import Stage
from tests.pipelines.infer.inferring import (
    SHARDED,
    SIZE,
    infer_into,
    pair,
    predictions_of,
    table,
)


@pytest.fixture(scope="session")
def archive(tmp_path_factory: pytest.TempPathFactory) -> Archive:
    return Archive.create(str(tmp_path_factory.mktemp("archive")), imaging=ImagingConfig(height_px=SIZE, width_px=SIZE))


@pytest.fixture(scope="session")
def many(archive: Archive, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Forty pairs in twenty shards; one pair lacks its right breast."""
    path = tmp_path_factory.mktemp("pairs") / "pairs.parquet"
    pq.write_table(table([pair(archive, number, right=number != 105) for number in range(100, 140)]), path)
    return path


@pytest.fixture(scope="session")
def calm(
    ray_cluster: Path, archive: Archive, checkpoint: Path, many: Path, tmp_path_factory: pytest.TempPathFactory
) -> Stage[InferResult]:
    """These pairs, inferred by one predictor in one go."""
    stage = predictions_of(tmp_path_factory.mktemp("calm"))
    infer_into(stage, pq.read_table(many), archive=archive, checkpoint=checkpoint, resources=SHARDED)
    return stage
