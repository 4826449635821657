"""Inference through Ray: one row an image, the same bytes whatever is killed and whatever the resources are."""

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from ray.exceptions import ActorDiedError

from actors.predictor import Predictor, PredictorConfig
from actors.shard_predictor import ShardFacts
from pipelines import infer
from pipelines.workers import restarts
from pipelines.workers.decode import decode_pairs
from system.archive import Archive
from system.errors import UserError
from system.imaging import ImagingConfig, decode_png
from system.records import image_key
from system.refine import CrfParams, InferConfig, RefineConfig
from system.resources import InferResources
from system.run.results import InferResult
from system.run.stage import Stage
from system.schemas import PAIRS, PREDICTIONS
from tests.pipelines.fixture_types import Killing

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


@pytest.fixture(scope="module")
def archive(tmp_path_factory: pytest.TempPathFactory) -> Archive:
    return Archive.create(str(tmp_path_factory.mktemp("archive")), imaging=ImagingConfig(height_px=SIZE, width_px=SIZE))


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


def test_decoding_gives_the_stored_pixels_and_nothing_for_a_missing_breast(archive: Archive) -> None:
    row = pair(archive, 1, right=False)
    decoded = decode_pairs(table([row]), archive=archive).to_pylist()[0]
    assert decoded["left_pixels"] == archive.pixels(row["left_sha"]).tobytes()
    assert decoded["right_pixels"] is None
    assert decoded["error"] is None


def test_what_cannot_be_read_is_named_by_side_and_code(archive: Archive) -> None:
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


def test_shards_hold_whole_batches_of_pairs_in_order_of_their_keys(archive: Archive) -> None:
    pairs = table([pair(archive, number) for number in (3, 1, 2)])
    padded = infer.pad_pairs(pairs, batch_pairs=CONFIG.batch_pairs)
    shards = infer.cut_shards(padded, size=size_of_shards(len(padded), RESOURCES))
    assert [len(shard) for shard in shards] == [2, 2]
    assert [shard["shard"].to_pylist() for shard in shards] == [[0, 0], [1, 1]]
    assert [shard["shard_rows"].to_pylist() for shard in shards] == [[2, 2], [2, 2]]
    keys = pa.concat_tables(shards)["pair_key"].to_pylist()
    assert keys[:3] == sorted(pairs["pair_key"].to_pylist())
    assert shards[-1]["left_id"].to_pylist()[-1] == ""


def size_of_shards(num_pairs: int, resources: InferResources) -> int:
    return infer.shard_size(num_pairs, batch_pairs=CONFIG.batch_pairs, image_bytes=IMAGE_BYTES, resources=resources)


def test_shards_stay_below_their_bytes(archive: Archive) -> None:
    pairs = table([pair(archive, 1) | {"pair_key": number} for number in range(400)])
    padded = infer.pad_pairs(pairs, batch_pairs=CONFIG.batch_pairs)
    for resources, num_pairs in ((RESOURCES.changed(shard_bytes=8 * IMAGE_BYTES), 4), (RESOURCES, 50)):
        shards = infer.cut_shards(padded, size=size_of_shards(len(padded), resources))
        assert {len(shard) for shard in shards} == {num_pairs}


def test_a_checkpoint_of_another_size_is_refused_before_anything_runs(
    archive: Archive, checkpoint: Path, tmp_path: Path
) -> None:
    larger = Archive.create(str(tmp_path / "larger"), imaging=ImagingConfig(height_px=96, width_px=64))
    with pytest.raises(UserError, match="trained on 64 x 64 px, the archive keeps 96 x 64"):
        infer_into(predictions_of(tmp_path), table([pair(archive, 1)]), archive=larger, checkpoint=checkpoint)


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


@pytest.fixture(scope="module")
def many(archive: Archive, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Forty pairs in twenty shards; one pair lacks its right breast."""
    path = tmp_path_factory.mktemp("pairs") / "pairs.parquet"
    pq.write_table(table([pair(archive, number, right=number != 105) for number in range(100, 140)]), path)
    return path


@pytest.fixture(scope="module")
def calm(
    ray_cluster: Path, archive: Archive, checkpoint: Path, many: Path, tmp_path_factory: pytest.TempPathFactory
) -> Stage[InferResult]:
    """These pairs, inferred by one predictor in one go."""
    stage = predictions_of(tmp_path_factory.mktemp("calm"))
    infer_into(stage, pq.read_table(many), archive=archive, checkpoint=checkpoint, resources=SHARDED)
    return stage


@pytest.mark.ray
def test_every_image_gets_one_row_and_a_corrupt_file_costs_its_pair_only(
    calm: Stage[InferResult], archive: Archive, checkpoint: Path, many: Path, tmp_path: Path
) -> None:
    archive = Archive.open(str(shutil.copytree(archive.uri, tmp_path / "archive")))
    rows = pq.read_table(many).to_pylist()
    damage(archive, rows[2]["left_sha"])
    stage = predictions_of(tmp_path)
    result = infer_into(stage, table(rows[::-1]), archive=archive, checkpoint=checkpoint)

    expected = {row["image_id"]: row for row in all_rows(calm).to_pylist()}
    assert expected.keys() == images_of(table(rows))
    found = all_rows(stage)
    assert found.schema == PREDICTIONS
    assert found["image_key"].to_pylist() == sorted(image_key(name) for name in expected)
    bad = {row["image_id"]: row["error"] for row in found.to_pylist() if row["error"]}
    assert bad == {"left102": "left breast: pixels_damaged", "right102": "left breast: pixels_damaged"}
    assert all(row == expected[row["image_id"]] for row in found.to_pylist() if not row["error"])
    assert (result.num_images, result.num_errors) == (NUM_IMAGES, 2)
    assert result.images_per_s > 0
    manifest = stage.manifest()
    assert manifest is not None
    assert list(manifest.files) == [f"part_{number:06d}.parquet" for number in range(len(manifest.files))]
    assert manifest.result == result
    assert infer_into(stage, table(rows), archive=archive, checkpoint=checkpoint) == result  # done is done


def test_no_pairs_give_a_finished_stage_without_rows(archive: Archive, checkpoint: Path, tmp_path: Path) -> None:
    stage = predictions_of(tmp_path)
    assert infer_into(stage, PAIRS.empty_table(), archive=archive, checkpoint=checkpoint).num_images == 0
    assert stage.finished
    assert all_rows(stage).schema == PREDICTIONS


def mining(archive: Archive, checkpoint: Path, mask_threshold: float) -> infer.InferJob:
    return infer.InferJob(archive.uri, checkpoint, CONFIG, RESOURCES, mask_threshold)


@pytest.mark.ray
def test_mining_keeps_8_bit_maps_only_where_there_is_a_mask_and_runs_the_crf_of_the_config(
    calm: Stage[InferResult], archive: Archive, checkpoint: Path, many: Path, tmp_path: Path
) -> None:
    pairs = pq.read_table(many).sort_by("pair_key").slice(0, 8)
    whole = {row["image_key"]: row for row in all_rows(calm).to_pylist() if row["image_id"] in images_of(pairs)}
    threshold = float(np.median([row["peak"] for row in whole.values()]))  # so that half of the images can have a mask
    stage = predictions_of(tmp_path)
    result = infer.for_mining(pairs, mining(archive, checkpoint, threshold), stage=stage)
    rows = {row["image_key"]: row for row in all_rows(stage).to_pylist()}
    assert rows.keys() == whole.keys()
    masked = {key for key, row in rows.items() if row["mask_area_px"]}
    assert 0 < len(masked) == result.num_masked < len(rows)
    assert {key for key, row in rows.items() if row["map_png"]} == masked
    assert {decode_png(rows[key]["map_png"]).dtype for key in masked} == {np.dtype(np.uint8)}
    assert {decode_png(row["map_png"]).dtype for row in whole.values()} == {np.dtype(np.uint16)}

    with_crf, without = (
        masks_of(pairs, refine, mask_threshold=threshold, archive=archive, checkpoint=checkpoint)
        for refine in (CONFIG.refine, CONFIG.refine.changed(backend="none"))
    )
    assert {key: row["mask_png"] for key, row in rows.items()} == with_crf != without
    manifest = stage.manifest()
    assert manifest is not None
    assert manifest.settings["refine"] == CONFIG.refine.model_dump(mode="json")
    assert manifest.settings["mask_threshold"] == threshold


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


@pytest.mark.parametrize(("decode", "predictor"), [(0.5, 1.0), (1.0, 1.0), (2.0, 2.0)])
def test_decoding_never_has_a_predictors_cpus_so_that_it_stays_a_process_of_its_own(
    decode: float, predictor: float
) -> None:
    cpus = infer.decoding_cpus(InferResources(decode_cpus=decode, predictor_cpus=predictor))
    assert cpus == pytest.approx(decode, abs=1e-3)
    assert cpus != predictor


@pytest.mark.ray
def test_what_the_same_model_has_looked_at_with_the_same_settings_is_taken_over(
    ray_cluster: Path, archive: Archive, checkpoint: Path, many: Path, tmp_path: Path
) -> None:
    pairs = pq.read_table(many).sort_by("pair_key")

    def mine(name: str, part: pa.Table, *earlier: Stage[InferResult], threshold: float = 0.5) -> Stage[InferResult]:
        stage = predictions_of(tmp_path, name)
        infer.for_mining(part, mining(archive, checkpoint, threshold), stage=stage, earlier=earlier)
        return stage

    first, second = mine("first", pairs.slice(0, 8)), mine("second", pairs.slice(8, 4))
    all_of_it = mine("all", pairs.slice(2, 12), first, second)
    result = all_of_it.result()
    assert result.num_taken_over == len(images_of(pairs.slice(2, 10)))
    assert result.num_images == len(images_of(pairs.slice(2, 12)))
    found = {row["image_id"]: row for row in all_rows(all_of_it).to_pylist()}
    assert found.keys() == images_of(pairs.slice(2, 12))
    before = [row for stage in (first, second) for row in all_rows(stage).to_pylist()]
    assert all(found[row["image_id"]] == row for row in before if row["image_id"] in found)
    assert mine("other", pairs.slice(2, 4), first, threshold=0.25).result().num_taken_over == 0


def test_the_predictors_average_flips_as_the_config_says(archive: Archive, checkpoint: Path) -> None:
    for flips in ("none", "vertical"):
        config = CONFIG.changed(flip_average=flips)
        job = infer.InferJob(archive.uri, checkpoint, config, RESOURCES, 0.5, keep_maps="all")
        assert infer._predictor_config(archive, job).flip_average == flips


def images_of(pairs: pa.Table) -> set[str]:
    return {*pairs["left_id"].to_pylist(), *pairs["right_id"].to_pylist()} - {""}


def masks_of(
    pairs: pa.Table, refine: RefineConfig, *, mask_threshold: float, archive: Archive, checkpoint: Path
) -> dict[int, bytes | None]:
    """Return image_key -> mask_png as a predictor in this process gives it."""
    settings = PredictorConfig(
        height_px=SIZE,
        width_px=SIZE,
        batch_pairs=CONFIG.batch_pairs,
        mask_threshold=mask_threshold,
        precision="fp32",
        refine=refine,
    )
    decoded = decode_pairs(infer.pad_pairs(pairs, batch_pairs=CONFIG.batch_pairs), archive=archive)
    batch = {name: np.array(decoded[name].to_pylist(), dtype=object) for name in decoded.column_names}
    rows = Predictor(str(checkpoint), settings.model_dump(mode="json"))(batch).to_pylist()
    return {row["image_key"]: row["mask_png"] for row in rows}


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
