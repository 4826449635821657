"""Evaluation of a small archive's predictions, files in and files out."""

import json
import math
from pathlib import Path
from typing import Any, cast

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
from torch import nn

from pipelines import evaluate
from pipelines.workers.infer_summary import summarise
from system.archive import Archive
from system.archive.tables import SCHEMAS
from system.evaluation.examine_run import MaskRule
from system.evaluation.read_back import cut_counts, patient_counts
from system.imaging import ImagingConfig, encode_png
from system.methods import Method
from system.metrics import FrocConfig, compare_systems
from system.metrics.bootstrap import intervals, resampled_sensitivity
from system.records import Split, image_key
from system.refine import CrfParams, RefineConfig
from system.run.results import FrocResult, InferResult
from system.run.stage import Stage, Written
from system.schemas import PREDICTIONS
from system.training.validation import validation_of

ROWS, COLS = 64, 64
CONFIG = FrocConfig(min_lesion_px=20, min_candidate_px=20, candidate_threshold=0.1, bootstrap=50, num_thresholds=8)
MASKS = MaskRule(0.5, RefineConfig())


def block(y: int, x: int, *, size: int = 16, value: float = 1.0, scale: int = 1) -> np.ndarray:
    drawn = np.zeros((ROWS // scale, COLS // scale), dtype=np.float32)
    drawn[y // scale : (y + size) // scale, x // scale : (x + size) // scale] = value
    return drawn


def archive_of(folder: Path, truths: list[np.ndarray | None], *, split: Split = Split.TEST) -> Archive:
    """Return an archive with two images a patient, and these truths; the pictures hold nothing but their number."""
    archive = Archive.create(str(folder), imaging=ImagingConfig(height_px=ROWS, width_px=COLS))
    images = [
        {"image_id": f"i{number}", "patient_id": f"p{number // 2}", "rows": ROWS, "cols": COLS, "split": str(split)}
        | {"study_id": f"p{number // 2}", "side": "LR"[number % 2], "view": "CC", "image_key": image_key(f"i{number}")}
        | {"pixel_sha": archive.put_pixels(np.full((ROWS, COLS), number, np.uint16))}
        for number in range(len(truths))
    ]
    masks = [
        {"image_id": f"i{number}", "mask_sha": archive.put_pixels(truth > 0), "num_lesions": 1}
        for number, truth in enumerate(truths)
        if truth is not None
    ]
    archive.upsert("images", pa.Table.from_pylist(images, schema=SCHEMAS["images"]))
    archive.upsert("masks", pa.Table.from_pylist(masks, schema=SCHEMAS["masks"]))
    return archive.pinned(archive.versions())


def prediction(number: int, probability: np.ndarray | None, *, error: str | None = None) -> dict[str, Any]:
    """Return one row; probability: [h, w] at stride 4."""
    png = None if probability is None else encode_png((probability * 65535).round().astype(np.uint16))
    peak = 0.0 if probability is None else float(probability.max())
    row = {"image_id": f"i{number}", "image_key": image_key(f"i{number}"), "p_image": peak, "peak": peak}
    return row | {"map_png": png, "error": error}


def predicted(run: Path, rows: list[dict[str, Any]]) -> Stage[InferResult]:
    """Return a finished predictions stage of two files."""
    stage = Stage(run, "test_predictions", InferResult)
    with stage.attempt() as attempt:
        files = [attempt / f"part_{half}.parquet" for half in range(2)]
        for half, path in enumerate(files):
            pq.write_table(pa.Table.from_pylist(rows[half::2], schema=PREDICTIONS), path)
        stage.finish(attempt, Written(summarise(files, [], began_s=0, ended_s=0), files=files))
    return stage


def evaluation(run: Path) -> Stage[FrocResult]:
    return Stage(run, "evaluation", FrocResult)


def measure(predictions: Stage[InferResult], *, archive: Archive, stage: Stage[FrocResult]) -> FrocResult:
    return evaluate.run(predictions, archive=archive, config=CONFIG, split=Split.TEST, masks=MASKS, stage=stage)


@pytest.fixture
def four_images(tmp_path: Path) -> tuple[Archive, Stage[InferResult]]:
    """One lesion found, one missed for a false positive elsewhere, one clean image, one that could not be read."""
    archive = archive_of(tmp_path / "archive", [block(8, 8), block(8, 8), None, block(40, 8)])
    found = prediction(0, block(8, 8, value=0.9, scale=4))
    missed = prediction(1, block(40, 24, value=0.6, scale=4))
    clean = prediction(2, np.zeros((ROWS // 4, COLS // 4)))
    return archive, predicted(tmp_path / "run", [found, missed, clean, prediction(3, None, error="truncated")])


def test_an_evaluation_counts_every_image_and_every_lesion(
    four_images: tuple[Archive, Stage[InferResult]], tmp_path: Path
) -> None:
    archive, predictions = four_images
    found = measure(predictions, archive=archive, stage=evaluation(tmp_path / "run"))
    assert found.counts.num_images == 4
    assert found.counts.num_lesions == 3
    assert (found.counts.num_tp, found.counts.num_fp, found.counts.num_errors) == (1, 1, 1)
    assert found.sweep.sensitivity == {
        "0.1": pytest.approx(1 / 3),
        "0.2": pytest.approx(1 / 3),
        "0.5": pytest.approx(1 / 3),
        "1": pytest.approx(1 / 3),
    }
    assert found.sweep.mean == pytest.approx(1 / 3)
    assert found.sweep.curve_ends_fppi == 0.25
    assert found.sweep.ends_before == ("0.5", "1")
    assert found.rethreshold.mean == pytest.approx(1 / 3)
    assert 0 <= found.sweep.interval[0] <= found.sweep.interval[1] <= 1
    assert (found.split, found.rules, found.mask_threshold) == ("test", CONFIG, 0.5)


def test_the_files_hold_the_rules_and_the_outcome_of_each_candidate(
    four_images: tuple[Archive, Stage[InferResult]], tmp_path: Path
) -> None:
    archive, predictions = four_images
    stage = evaluation(tmp_path / "run")
    measure(predictions, archive=archive, stage=stage)
    report = json.loads(stage.path("froc.json").read_text())
    assert any("at least 20 px" in rule for rule in report["rules"])
    assert report["sweep_curve"]["fppi"] == [0.0, 0.25]
    rows = {row["image_id"]: row for row in pq.ParquetFile(stage.path("candidates.parquet")).read().to_pylist()}
    assert [(rows[name]["outcome"], rows[name]["lesion"]) for name in ("i0", "i1")] == [("TP", 0), ("FP", -1)]
    assert rows["i0"]["iou"] > 0.5
    manifest = stage.manifest()
    assert manifest is not None
    assert manifest.archive_versions == archive.versions()
    assert manifest.parents == ("test_predictions",)


def test_a_finished_evaluation_is_not_done_again(
    four_images: tuple[Archive, Stage[InferResult]], tmp_path: Path
) -> None:
    archive, predictions = four_images
    stage = evaluation(tmp_path / "run")
    first = measure(predictions, archive=archive, stage=stage)
    written = stage.path("froc.json").stat().st_mtime_ns
    assert repr(measure(predictions, archive=archive, stage=stage)) == repr(first)  # NaN is unlike itself
    assert stage.path("froc.json").stat().st_mtime_ns == written


def test_two_evaluations_are_compared_by_what_they_kept(
    four_images: tuple[Archive, Stage[InferResult]], tmp_path: Path
) -> None:
    archive, predictions = four_images
    better = predicted(
        tmp_path / "better",
        [prediction(n, block(y, 8, value=0.9, scale=4)) for n, y in ((0, 8), (1, 8), (3, 40))]
        + [prediction(2, block(0, 0, value=0, scale=4))],
    )
    stages = {"supervised": evaluation(tmp_path / "run"), "round 1": evaluation(tmp_path / "better")}
    means = [
        measure(source, archive=archive, stage=stage).sweep.mean
        for source, stage in zip((predictions, better), stages.values(), strict=True)
    ]
    systems = {title: patient_counts(stage, config=CONFIG) for title, stage in stages.items()}
    rows = compare_systems(systems, baseline="supervised", config=CONFIG)
    assert [row.mean for row in rows] == pytest.approx(means)
    assert rows[1].difference == pytest.approx(2 / 3)
    candidates = pq.ParquetFile(stages["round 1"].path("candidates.parquet")).read()
    assert candidates["lesion"].to_pylist() == [0, 0, 0]  # numbered within the image


class AsPredicted:
    """A method whose maps are the given ones; the pictures hold nothing but their number."""

    def __init__(self, maps: np.ndarray) -> None:
        self.maps = maps

    def predict(
        self, model: nn.Module, left: torch.Tensor, right: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor]:
        views = [torch.round(side[:, 0, 0, 0] * 65535).long() for side in (left, right)]
        maps = [torch.logit(torch.from_numpy(self.maps[numbers]))[:, None] for numbers in views]
        nothing = torch.full((len(left),), float("nan"))
        return maps[0], maps[1], nothing, nothing


def test_what_training_measures_on_validation_is_what_the_evaluation_of_the_same_maps_gives(tmp_path: Path) -> None:
    """Without a chosen threshold, on maps that find some lesions with some IoU, and on a patient with one breast."""
    rng, num_images = np.random.default_rng(0), 13
    truths = [block(8 * (number % 5), 4 * (number % 6)) if number % 3 else None for number in range(num_images)]
    maps = np.stack(
        [
            0.02
            + 0.5 * rng.random((ROWS // 4, COLS // 4))
            + (0 if truth is None else 0.4 * np.roll(truth[::4, ::4], int(rng.integers(4)), axis=0))
            for truth in truths
        ]
    ).astype(np.float32)
    archive = archive_of(tmp_path / "archive", truths, split=Split.VALIDATION)
    config = CONFIG.changed(candidates="own_peak")
    found = evaluate.run(
        predicted(tmp_path / "run", [prediction(number, each) for number, each in enumerate(maps)]),
        archive=archive,
        config=config,
        split=Split.VALIDATION,
        masks=MASKS,
        stage=evaluation(tmp_path / "run"),
    )
    validation = validation_of(archive, froc=CONFIG, rank=0, num_workers=1)
    method = cast(Method, AsPredicted(maps))
    mean = validation.mean(method, nn.Identity(), device=torch.device("cpu"), dtype=torch.float32)
    assert mean == pytest.approx(found.sweep.mean)
    assert 0 < mean < 1


def test_the_second_mode_is_read_back_as_it_was_measured(
    four_images: tuple[Archive, Stage[InferResult]], tmp_path: Path
) -> None:
    archive, predictions = four_images
    stage = evaluation(tmp_path / "run")
    found = measure(predictions, archive=archive, stage=stage)
    counts = cut_counts(stage)
    assert (counts.patients, counts.images.tolist(), counts.lesions.tolist()) == (("p0", "p1"), [2, 2], [2, 1])
    once = np.ones((1, 2))
    assert resampled_sensitivity(counts, weights=once, fppi=CONFIG.fppi)[0].tolist() == list(
        found.rethreshold.sensitivity.values()
    )
    _, interval = intervals(counts, config=CONFIG, rng=np.random.default_rng(CONFIG.seed))
    assert interval.pair() == found.rethreshold.interval


def test_a_lesion_that_a_lower_cut_loses_again_is_lost_when_it_is_read_back(tmp_path: Path) -> None:
    archive = archive_of(tmp_path / "archive", [block(16, 16)])
    halo = np.maximum(block(0, 0, size=64, value=0.3, scale=4), block(16, 16, value=0.9, scale=4))
    stage = evaluation(tmp_path)
    measure(predicted(tmp_path, [prediction(0, halo)]), archive=archive, stage=stage)
    assert cut_counts(stage).found.toarray().ravel().tolist()[-1] == -1


def test_without_lesions_the_measures_are_nan(tmp_path: Path) -> None:
    archive = archive_of(tmp_path / "archive", [None, None])
    predictions = predicted(
        tmp_path / "run", [prediction(number, block(8, 8, value=0.9, scale=4)) for number in range(2)]
    )
    stage = evaluation(tmp_path / "run")
    found = measure(predictions, archive=archive, stage=stage)
    assert math.isnan(found.sweep.mean)
    assert math.isnan(stage.result().sweep.mean)  # as it is read back
    assert found.counts.num_fp == 2


def test_predictions_without_maps_are_refused(tmp_path: Path) -> None:
    archive = archive_of(tmp_path / "archive", [None])
    predictions = predicted(tmp_path, [prediction(0, None)])
    with pytest.raises(ValueError, match="carries no map: infer what is to be evaluated with every map kept"):
        measure(predictions, archive=archive, stage=evaluation(tmp_path))


def test_an_image_predicted_twice_is_refused(tmp_path: Path) -> None:
    archive = archive_of(tmp_path / "archive", [None])
    predictions = predicted(tmp_path, [prediction(0, np.zeros((ROWS // 4, COLS // 4)))] * 2)
    with pytest.raises(ValueError, match="1 of 2 predictions are of an image that has one already"):
        measure(predictions, archive=archive, stage=evaluation(tmp_path))


def test_an_image_that_the_archive_does_not_know_is_refused(tmp_path: Path) -> None:
    archive = archive_of(tmp_path / "archive", [None])
    predictions = predicted(tmp_path, [prediction(5, np.zeros((ROWS // 4, COLS // 4)))])
    with pytest.raises(ValueError, match="not in the archive's pinned version"):
        measure(predictions, archive=archive, stage=evaluation(tmp_path))


def test_candidates_of_the_mask_follow_the_edges_of_the_image(tmp_path: Path) -> None:
    archive = archive_of(tmp_path / "archive", [block(16, 16, size=24)])
    writable = Archive.open(archive.uri)
    pixels = (30000 + 30000 * block(16, 16, size=24)).astype(np.uint16)
    row = {"image_id": "i0", "patient_id": "p0", "rows": ROWS, "cols": COLS, "split": "test"}
    row["pixel_sha"] = writable.put_pixels(pixels)
    writable.upsert("images", pa.Table.from_pylist([row], schema=SCHEMAS["images"]))
    smeared = np.maximum(block(12, 12, size=36, value=0.55, scale=4), block(20, 20, size=16, value=0.9, scale=4))
    predictions = predicted(tmp_path / "run", [prediction(0, smeared)])

    def iou(*, config: FrocConfig, masks: MaskRule, name: str) -> float:
        stage = Stage(tmp_path / "run", name, FrocResult)
        evaluate.run(predictions, archive=writable, config=config, split=Split.TEST, masks=masks, stage=stage)
        (value,) = pq.ParquetFile(stage.path("candidates.parquet")).read()["iou"].to_pylist()
        return value

    of_map = iou(config=CONFIG, masks=MASKS, name="map")
    refined = MaskRule(0.5, RefineConfig(params=CrfParams(appearance_weight=20.0, smoothness_weight=1.0)))
    of_mask = iou(config=CONFIG.changed(regions="mask"), masks=refined, name="mask")
    without_crf = iou(
        config=CONFIG.changed(regions="mask"), masks=MaskRule(0.5, RefineConfig(backend="none")), name="none"
    )
    assert of_map < 0.5
    assert without_crf < 0.6
    assert of_mask > 0.9


def test_images_of_another_split_are_passed_over(
    four_images: tuple[Archive, Stage[InferResult]], tmp_path: Path
) -> None:
    archive, predictions = four_images
    writable = Archive.open(archive.uri)
    moved = [
        {"image_id": f"i{n}", "patient_id": "p0", "rows": ROWS, "cols": COLS, "split": "validation"} for n in (0, 1)
    ]
    writable.upsert("images", pa.Table.from_pylist(moved, schema=SCHEMAS["images"]))
    counts = measure(predictions, archive=writable, stage=evaluation(tmp_path / "run")).counts
    assert (counts.num_images, counts.num_lesions, counts.num_tp) == (2, 1, 0)
