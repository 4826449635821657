"""Inference through Ray: one row an image, what is in it, and what need not be looked at again."""

import shutil
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from actors.predictor import Predictor, PredictorConfig
from pipelines import infer
from pipelines.workers.decode import decode_pairs
from system.archive import Archive
from system.errors import UserError
from system.imaging import ImagingConfig, decode_png
from system.records import image_key
from system.refine import RefineConfig
from system.resources import InferResources
from system.run.results import InferResult
from system.run.stage import Stage
from system.schemas import PAIRS, PREDICTIONS
from tests.pipelines.infer.inferring import (
    CONFIG,
    IMAGE_BYTES,
    NUM_IMAGES,
    RESOURCES,
    SIZE,
    all_rows,
    damage,
    images_of,
    infer_into,
    mining,
    pair,
    predictions_of,
    table,
)


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
