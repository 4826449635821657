import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pipelines import infer
from pipelines.workers.decode import decode_pairs
from system.archive import Archive
from system.schemas import PAIRS
from system.schemas import PREDICTIONS
from system.imaging import ImagingConfig
from system.records import image_key
from system.refine import CrfParams, InferConfig, RefineConfig
from system.run.stage import Stage

SIZE = 64
PATIENCE_S = 180
CONFIG = InferConfig(
    batch_pairs=2,
    refine=RefineConfig(params=CrfParams().scaled(0.1), candidate_threshold=0.02, min_candidate_px=4),
    precision="fp32",
    predictor_cpus=0.5,
    decode_cpus=0.25,
)


DRIVER = """
import sys
from pathlib import Path
import pyarrow.parquet as pq
import ray
from pipelines import infer
from system.refine import InferConfig
from system.run.stage import Stage

pairs, archive, checkpoint, run, config = sys.argv[1:]
ray.init(address="local", num_cpus=4, include_dashboard=False, object_store_memory=100 * 1024**2)
infer.run(pq.read_table(pairs), archive_uri=archive, checkpoint=Path(checkpoint), config=InferConfig.model_validate_json(config),
          stage=Stage(Path(run), "predictions"), mask_threshold=0.4, keep_maps="all")
"""


@pytest.fixture(scope="module")
def archive(tmp_path_factory):
    return Archive.create(str(tmp_path_factory.mktemp("archive")), imaging=ImagingConfig(height_px=SIZE, width_px=SIZE))


def put(archive, seed):
    pixels = np.zeros((SIZE, SIZE), dtype=np.uint16)
    pixels[4:60, :40] = np.random.default_rng(seed).integers(5000, 60000, (56, 40))
    return archive.put_pixels(pixels)


def pair(archive, number, *, right=True):
    row = {
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


def table(rows):
    return pa.Table.from_pylist(rows, schema=PAIRS)


def damage(archive, sha):
    path = Path(archive.uri) / "pixels" / sha[:2] / f"{sha}.png"
    path.write_bytes(path.read_bytes()[:60])


def test_decoding_gives_the_stored_pixels_and_nothing_for_a_missing_breast(archive):
    row = pair(archive, 1, right=False)
    decoded = decode_pairs(table([row]), archive=archive).to_pylist()[0]
    assert decoded["left_pixels"] == archive.pixels(row["left_sha"]).tobytes()
    assert decoded["right_pixels"] is None
    assert decoded["error"] is None


def test_what_cannot_be_read_is_named_by_side_and_code(archive):
    absent, damaged, other = pair(archive, 20), pair(archive, 21), pair(archive, 22)
    absent["left_sha"] = "0" * 64
    damage(archive, damaged["right_sha"])
    other["right_sha"] = archive.put_pixels(np.ones((8, 8), dtype=np.uint16))
    decoded = decode_pairs(table([absent, damaged, other]), archive=archive)
    assert decoded["error"].to_pylist() == [
        "left breast: pixels_missing",
        "right breast: pixels_damaged",
        "right breast: pixel_size",
    ]
    assert decoded["left_pixels"].null_count == decoded["right_pixels"].null_count == 3


def test_shards_hold_whole_batches_of_pairs_in_order_of_their_keys(archive):
    pairs = table([pair(archive, number) for number in (3, 1, 2)])
    shards = infer.split_shards(pairs, image_bytes=2 * SIZE * SIZE, config=CONFIG)
    assert [len(shard) for shard in shards] == [2, 2]
    keys = pa.concat_tables(shards)["pair_key"].to_pylist()
    assert keys[:3] == sorted(pairs["pair_key"].to_pylist())
    assert shards[-1]["left_id"].to_pylist()[-1] == ""


def test_shards_stay_below_their_bytes(archive):
    pairs = table([pair(archive, 1) | {"pair_key": number} for number in range(400)])
    image_bytes = 2 * SIZE * SIZE
    config = CONFIG.model_copy(update={"shard_bytes": 8 * image_bytes})  # 4 pairs
    assert {len(shard) for shard in infer.split_shards(pairs, image_bytes=image_bytes, config=config)} == {4}
    assert {len(shard) for shard in infer.split_shards(pairs, image_bytes=image_bytes, config=CONFIG)} == {50}


def test_a_checkpoint_of_another_size_is_refused_before_anything_runs(archive, checkpoint, tmp_path):
    larger = Archive.create(str(tmp_path / "larger"), imaging=ImagingConfig(height_px=96, width_px=64))
    with pytest.raises(ValueError, match="trained on 64 x 64 px, the archive keeps 96 x 64"):
        infer_into(Stage(tmp_path, "predictions"), table([pair(archive, 1)]), archive=larger, checkpoint=checkpoint)


def infer_into(stage, pairs, *, archive, checkpoint, config=CONFIG):
    return infer.run(
        pairs,
        archive_uri=archive.uri,
        checkpoint=checkpoint,
        config=config,
        stage=stage,
        mask_threshold=0.4,
        keep_maps="all",
    )


@pytest.mark.ray
def test_every_image_gets_one_row_and_a_corrupt_file_costs_its_pair_only(ray_cluster, archive, checkpoint, tmp_path):
    rows = [pair(archive, number) for number in range(30, 35)] + [pair(archive, 35, right=False)]
    sound = Stage(tmp_path, "sound")
    infer_into(sound, table(rows), archive=archive, checkpoint=checkpoint)
    damage(archive, rows[2]["left_sha"])
    stage = Stage(tmp_path, "predictions")
    manifest = infer_into(stage, table(rows[::-1]), archive=archive, checkpoint=checkpoint)

    expected = {row["image_id"]: row for row in infer.read_predictions(sound).to_pylist()}
    found = infer.read_predictions(stage)
    assert found.schema == PREDICTIONS
    assert found["image_key"].to_pylist() == sorted(image_key(name) for name in expected)
    bad = {row["image_id"]: row["error"] for row in found.to_pylist() if row["error"]}
    assert bad == {"left32": "left breast: pixels_damaged", "right32": "left breast: pixels_damaged"}
    assert all(row == expected[row["image_id"]] for row in found.to_pylist() if not row["error"])
    assert (manifest.rows, manifest.metrics["errors"]) == (11, 2)
    assert manifest.metrics["images_per_s"] > 0
    assert sorted(manifest.files) == [f"part_{number:06d}.parquet" for number in range(len(manifest.files))]
    assert infer_into(stage, table(rows), archive=archive, checkpoint=checkpoint) == manifest  # done is done


def test_no_pairs_give_a_finished_stage_without_rows(archive, checkpoint, tmp_path):
    stage = Stage(tmp_path, "predictions")
    assert infer_into(stage, PAIRS.empty_table(), archive=archive, checkpoint=checkpoint).rows == 0
    assert infer.read_predictions(stage).schema == PREDICTIONS


@pytest.fixture(scope="module")
def many(archive, tmp_path_factory):
    """Forty pairs in twenty shards."""
    path = tmp_path_factory.mktemp("pairs") / "pairs.parquet"
    pq.write_table(table([pair(archive, number) for number in range(100, 140)]), path)
    return path


SHARDED = CONFIG.model_copy(update={"shard_bytes": 1})


@pytest.fixture(scope="module")
def calm(ray_cluster, archive, checkpoint, many, tmp_path_factory):
    stage = Stage(tmp_path_factory.mktemp("calm"), "predictions")
    infer_into(stage, pq.read_table(many), archive=archive, checkpoint=checkpoint, config=SHARDED)
    return stage


@pytest.mark.ray
def test_killing_a_predictor_midway_changes_no_byte(calm, archive, checkpoint, many, tmp_path, killing):
    stage, killed = Stage(tmp_path, "predictions"), []
    with killing("(ShardPredictor)", into=killed, when=lambda: len(written(stage)) >= 3):
        infer_into(stage, pq.read_table(many), archive=archive, checkpoint=checkpoint, config=SHARDED)
        assert killed, "no predictor was killed while there was work"
    assert contents(stage) == contents(calm)


@pytest.mark.ray
@pytest.mark.slow
def test_a_killed_driver_goes_on_with_the_shards_that_are_missing(
    calm, archive, checkpoint, many, tmp_path, ray_environment
):
    stage = Stage(tmp_path, "predictions")
    command = [sys.executable, "-c", DRIVER, many, archive.uri, checkpoint, tmp_path, SHARDED.model_dump_json()]
    driver = subprocess.Popen([str(word) for word in command], env=dict(ray_environment))
    kill_when(driver, lambda: len(written(stage)) >= 3)
    before = {path.name: path.stat().st_mtime_ns for path in written(stage)}
    assert stage.manifest() is None

    manifest = infer_into(stage, pq.read_table(many), archive=archive, checkpoint=checkpoint, config=SHARDED)
    assert contents(stage) == contents(calm)
    assert {path.name: path.stat().st_mtime_ns for path in stage.paths() if path.name in before} == before
    assert manifest.metrics["shards_from_earlier_starts"] == len(before) < 20
    assert manifest.metrics["images"] == 80


@pytest.mark.ray
def test_two_calls_at_once_and_a_growing_pool_give_the_same_bytes(calm, archive, checkpoint, many, tmp_path):
    config = SHARDED.model_copy(update={"calls_at_once": 2, "max_predictors": 2})
    stage = Stage(tmp_path, "predictions")
    infer_into(stage, pq.read_table(many), archive=archive, checkpoint=checkpoint, config=config)
    assert contents(stage) == contents(calm)


@pytest.mark.ray
def test_gpus_that_no_node_has_are_refused_instead_of_waited_for(ray_cluster, archive, checkpoint, tmp_path):
    config = CONFIG.model_copy(update={"predictor_gpus": 0.5})
    with pytest.raises(
        ValueError, match=r"infer\.predictor_gpus is 0\.5, but no node of the cluster has a GPU: set it to 0"
    ):
        infer_into(
            Stage(tmp_path, "predictions"),
            table([pair(archive, 1)]),
            archive=archive,
            checkpoint=checkpoint,
            config=config,
        )


def written(stage):
    return sorted(stage.folder.glob("attempt_*/part_*.parquet"))


def contents(stage):
    return {path.name: path.read_bytes() for path in stage.paths()}


def kill_when(driver, condition):
    deadline = time.monotonic() + PATIENCE_S
    while not condition():
        assert driver.poll() is None, "the driver ended before it could be killed"
        assert time.monotonic() < deadline, "the moment to be killed in never came"
        time.sleep(0.01)
    os.kill(driver.pid, signal.SIGKILL)
    driver.wait(PATIENCE_S)
