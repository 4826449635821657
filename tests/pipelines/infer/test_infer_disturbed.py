"""Inference that is disturbed: the same bytes whatever is killed, stands still or is taken up with other resources."""

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from ray.exceptions import ActorDiedError

from actors.shard_predictor import ShardFacts
from pipelines import infer
from pipelines.workers import restarts
from system.archive import Archive
from system.errors import UserError
from system.run.results import InferResult
from system.run.stage import Stage
from tests.pipelines.fixture_types import Killing
from tests.pipelines.infer.inferring import (
    CONFIG,
    NUM_IMAGES,
    NUM_SHARDS,
    PATIENCE_S,
    RESOURCES,
    SHARDED,
    all_rows,
    infer_into,
    pair,
    predictions_of,
    table,
)

DRIVER = """
import sys
from pathlib import Path
import pyarrow.parquet as pq
import ray
from pipelines import infer
from system.refine import InferConfig
from system.resources import InferResources
from system.run.results import InferResult
from system.run.stage import Stage

pairs, archive, checkpoint, run, config, resources = sys.argv[1:]
ray.init(address="local", num_cpus=4, include_dashboard=False, object_store_memory=100 * 1024**2)
infer.whole_maps(
    pq.read_table(pairs),
    archive_uri=archive,
    checkpoint=Path(checkpoint),
    config=InferConfig.model_validate_json(config),
    resources=InferResources.model_validate_json(resources),
    stage=Stage(Path(run), "predictions", InferResult),
)
"""


class KilledAtOnce:
    """In place of a predictor: killed from outside before it is there, as for want of memory."""

    def __init__(self, *_: object) -> None:
        os.kill(os.getpid(), signal.SIGKILL)

    def __call__(self, batch: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        """Return the batch."""
        return batch


@pytest.mark.ray
def test_predictors_that_are_killed_each_time_as_they_start_end_the_inference(
    ray_cluster: Path, archive: Archive, checkpoint: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(infer, "WatchedPredictor", KilledAtOnce)
    monkeypatch.setattr(restarts, "RESTARTS", 1)
    with pytest.raises(ActorDiedError):
        infer_into(predictions_of(tmp_path), table([pair(archive, 1)]), archive=archive, checkpoint=checkpoint)


@pytest.mark.ray
def test_an_inference_begun_with_twelve_predictors_is_taken_up_again_with_one_and_no_shard_is_done_again(
    calm: Stage[InferResult],
    archive: Archive,
    checkpoint: Path,
    many: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """With one predictor from the beginning there would be 7 shards in place of 20, under the same names."""
    twelve, one = RESOURCES.changed(num_predictors=12), RESOURCES.changed(num_predictors=1, predictor_cpus=2.0)
    stage, pairs = predictions_of(tmp_path), pq.read_table(many)
    done = [f"part_{number:06d}.parquet" for number in (0, 1, 2, 7, 19)]

    def stop_early(shards: list[pa.Table], folder: Path, **_: object) -> Iterator[ShardFacts]:
        """Write what the predictors have written when the driver dies."""
        assert len(shards) == NUM_SHARDS
        for name in done:
            shutil.copyfile(calm.path(name), folder / name)
        raise RuntimeError("the driver died")
        yield

    with monkeypatch.context() as patch:
        patch.setattr(infer, "_stream", stop_early)
        with pytest.raises(RuntimeError, match="the driver died"):
            infer_into(stage, pairs, archive=archive, checkpoint=checkpoint, resources=twelve)
    assert not stage.finished
    before = {path.name: (path.stat().st_mtime_ns, path.read_bytes()) for path in written(stage)}
    assert list(before) == done

    result = infer_into(stage, pairs, archive=archive, checkpoint=checkpoint, resources=one)
    after = {path.name: (path.stat().st_mtime_ns, path.read_bytes()) for path in stage.paths()}
    assert {name: after[name] for name in done} == before
    assert result.num_earlier_shards == len(done)
    found, expected = all_rows(stage), all_rows(calm)
    assert contents(stage).keys() == contents(calm).keys()
    assert found["image_key"].to_pylist() == expected["image_key"].to_pylist()
    assert found["peak"].to_numpy() == pytest.approx(expected["peak"].to_numpy(), abs=1e-5)  # two threads, not one


@pytest.mark.ray
@pytest.mark.slow
def test_killing_a_predictor_midway_changes_no_byte(
    calm: Stage[InferResult], archive: Archive, checkpoint: Path, many: Path, tmp_path: Path, killing: Killing
) -> None:
    stage, killed = predictions_of(tmp_path), []
    with killing("(WatchedPredictor)", into=killed, when=lambda: len(written(stage)) >= 3):
        infer_into(stage, pq.read_table(many), archive=archive, checkpoint=checkpoint, resources=SHARDED)
        assert killed, "no predictor was killed while there was work"
    assert contents(stage) == contents(calm)


@pytest.mark.ray
@pytest.mark.slow
def test_a_predictor_that_stands_still_is_noticed_said_and_replaced_and_no_byte_changes(  # noqa: PLR0917
    calm: Stage[InferResult],
    archive: Archive,
    checkpoint: Path,
    many: Path,
    tmp_path: Path,
    killing: Killing,
    caplog: pytest.LogCaptureFixture,
) -> None:
    stage, stopped = predictions_of(tmp_path), []
    caplog.set_level("INFO", logger="mammoloop")
    watched = SHARDED.changed(stall_s=40.0)
    began_s = time.monotonic()
    with killing("(WatchedPredictor)", into=stopped, when=lambda: len(written(stage)) >= 3, by=signal.SIGSTOP):
        infer_into(stage, pq.read_table(many), archive=archive, checkpoint=checkpoint, resources=watched)
    assert stopped, "no predictor was stopped while there was work"
    assert time.monotonic() - began_s < PATIENCE_S
    assert contents(stage) == contents(calm)
    assert "infer: a predictor gave no sign of life for 40 s (" in caplog.text


@pytest.mark.ray
@pytest.mark.slow
def test_a_killed_driver_goes_on_with_the_shards_that_are_missing(
    calm: Stage[InferResult],
    archive: Archive,
    checkpoint: Path,
    many: Path,
    tmp_path: Path,
    ray_environment: Mapping[str, str],
) -> None:
    stage = predictions_of(tmp_path)
    settings = [CONFIG.model_dump_json(), SHARDED.model_dump_json()]
    command = [sys.executable, "-c", DRIVER, many, archive.uri, checkpoint, tmp_path, *settings]
    driver = subprocess.Popen([str(part) for part in command], env=dict(ray_environment))
    kill_when(driver, lambda: len(written(stage)) >= 3)
    before = {path.name: path.stat().st_mtime_ns for path in written(stage)}
    assert stage.manifest() is None

    result = infer_into(stage, pq.read_table(many), archive=archive, checkpoint=checkpoint, resources=SHARDED)
    assert contents(stage) == contents(calm)
    assert {path.name: path.stat().st_mtime_ns for path in stage.paths() if path.name in before} == before
    assert result.num_earlier_shards == len(before) < NUM_SHARDS
    assert result.num_images == NUM_IMAGES


@pytest.mark.ray
def test_two_calls_at_once_and_a_growing_pool_give_the_same_bytes(
    calm: Stage[InferResult], archive: Archive, checkpoint: Path, many: Path, tmp_path: Path
) -> None:
    resources = SHARDED.changed(calls_at_once=2, max_predictors=2)
    stage = predictions_of(tmp_path)
    infer_into(stage, pq.read_table(many), archive=archive, checkpoint=checkpoint, resources=resources)
    assert contents(stage) == contents(calm)


@pytest.mark.ray
@pytest.mark.usefixtures("ray_cluster")
def test_gpus_that_no_node_has_are_refused_instead_of_waited_for(
    archive: Archive, checkpoint: Path, tmp_path: Path
) -> None:
    with pytest.raises(
        UserError,
        match=r"resources\.infer\.predictor_gpus is 0\.5, but no node of the cluster has a GPU: set it to 0",
    ):
        infer_into(
            predictions_of(tmp_path),
            table([pair(archive, 1)]),
            archive=archive,
            checkpoint=checkpoint,
            resources=RESOURCES.changed(predictor_gpus=0.5),
        )


def written(stage: Stage[InferResult]) -> list[Path]:
    return sorted(stage.folder.glob("attempt_*/part_*.parquet"))


def contents(stage: Stage[InferResult]) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in stage.paths()}


def kill_when(driver: subprocess.Popen[bytes], condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while not condition():
        assert driver.poll() is None, "the driver ended before it could be killed"
        assert time.monotonic() < deadline, "the moment to be killed in never came"
        time.sleep(0.01)
    os.kill(driver.pid, signal.SIGKILL)
    driver.wait(PATIENCE_S)
