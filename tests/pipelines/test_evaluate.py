"""Evaluation of a small archive's predictions, files in and files out."""

import json
import math
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pipelines import evaluate
from system.archive import Archive
from system.archive.tables import SCHEMAS
from system.schemas import PREDICTIONS
from system.evaluation import read_back as evaluated
from system.imaging import ImagingConfig, encode_png
from system.metrics import FrocConfig, compare_systems
from system.records import Split, image_key
from system.run.stage import Stage

ROWS, COLS = 64, 48
CONFIG = FrocConfig(min_lesion_px=20, min_candidate_px=20, candidate_threshold=0.1, bootstrap=50, num_thresholds=8)


def block(y: int, x: int, *, size: int = 16, value: float = 1.0, scale: int = 1) -> np.ndarray:
    drawn = np.zeros((ROWS // scale, COLS // scale), dtype=np.float32)
    drawn[y // scale : (y + size) // scale, x // scale : (x + size) // scale] = value
    return drawn


def archive_of(folder: Path, truths: list[np.ndarray | None]) -> Archive:
    """Return an archive with two images a patient, and these truths."""
    archive = Archive.create(str(folder), imaging=ImagingConfig(height_px=ROWS, width_px=COLS))
    images = [
        {"image_id": f"i{number}", "patient_id": f"p{number // 2}", "rows": ROWS, "cols": COLS, "split": "test"}
        for number in range(len(truths))
    ]
    masks = [
        {"image_id": f"i{number}", "mask_sha": archive.put_pixels(truth > 0)}
        for number, truth in enumerate(truths)
        if truth is not None
    ]
    archive.upsert("images", pa.Table.from_pylist(images, schema=SCHEMAS["images"]))
    archive.upsert("masks", pa.Table.from_pylist(masks, schema=SCHEMAS["masks"]))
    return archive.pinned(archive.versions())


def prediction(number: int, probability: np.ndarray | None, *, error: str | None = None) -> dict:
    """Return one row; probability: [h, w] at stride 4."""
    png = None if probability is None else encode_png((probability * 65535).round().astype(np.uint16))
    peak = 0.0 if probability is None else float(probability.max())
    row = {"image_id": f"i{number}", "image_key": image_key(f"i{number}"), "p_image": peak, "peak": peak}
    return row | {"map_png": png, "error": error}


def predicted(run: Path, rows: list[dict]) -> Stage:
    """Return a finished predictions stage of two files."""
    stage = Stage(run, "test_predictions")
    with stage.attempt() as attempt:
        files = [attempt / f"part_{half}.parquet" for half in range(2)]
        for half, path in enumerate(files):
            pq.write_table(pa.Table.from_pylist(rows[half::2], schema=PREDICTIONS), path)
        stage.finish(attempt, files, rows=len(rows))
    return stage


@pytest.fixture
def four_images(tmp_path: Path) -> tuple[Archive, Stage]:
    """One lesion found, one missed for a false positive elsewhere, one clean image, one that could not be read."""
    archive = archive_of(tmp_path / "archive", [block(8, 8), block(8, 8), None, block(40, 8)])
    found = prediction(0, block(8, 8, value=0.9, scale=4))
    missed = prediction(1, block(40, 24, value=0.6, scale=4))
    clean = prediction(2, np.zeros((ROWS // 4, COLS // 4)))
    return archive, predicted(tmp_path / "run", [found, missed, clean, prediction(3, None, error="truncated")])


def test_an_evaluation_counts_every_image_and_every_lesion(four_images: tuple[Archive, Stage], tmp_path: Path):
    archive, predictions = four_images
    metrics = evaluate.run(
        predictions, archive=archive, config=CONFIG, stage=Stage(tmp_path / "run", "evaluation"), split=Split.TEST
    ).metrics
    assert metrics["num_images"] == 4
    assert metrics["num_lesions"] == 3
    assert (metrics["num_tp"], metrics["num_fp"], metrics["num_errors"]) == (1, 1, 1)
    assert metrics["sensitivity"] == {
        "0.1": pytest.approx(1 / 3),
        "0.2": pytest.approx(1 / 3),
        "0.5": pytest.approx(1 / 3),
        "1": pytest.approx(1 / 3),
    }
    assert metrics["mean"] == pytest.approx(1 / 3)
    assert metrics["curve_ends_fppi"] == 0.25
    assert metrics["ends_before"] == ["0.5", "1"]
    assert metrics["rethreshold"]["mean"] == pytest.approx(1 / 3)
    assert 0 <= metrics["interval"][0] <= metrics["interval"][1] <= 1


def test_the_files_say_the_rules_and_each_candidates_fate(four_images: tuple[Archive, Stage], tmp_path: Path):
    archive, predictions = four_images
    stage = Stage(tmp_path / "run", "evaluation")
    manifest = evaluate.run(predictions, archive=archive, config=CONFIG, stage=stage, split=Split.TEST)
    report = json.loads(stage.path("froc.json").read_text())
    assert any("at least 20 px" in rule for rule in report["rules"])
    assert report["sweep"]["curve"]["fppi"] == [0.0, 0.25]
    rows = {row["image_id"]: row for row in pq.ParquetFile(stage.path("candidates.parquet")).read().to_pylist()}
    assert [(rows[name]["outcome"], rows[name]["lesion"]) for name in ("i0", "i1")] == [("TP", 0), ("FP", -1)]
    assert rows["i0"]["iou"] > 0.5
    assert manifest.archive_versions == archive.versions()
    assert manifest.parents == ["test_predictions"]


def test_a_finished_evaluation_is_not_done_again(four_images: tuple[Archive, Stage], tmp_path: Path):
    archive, predictions = four_images
    stage = Stage(tmp_path / "run", "evaluation")
    first = evaluate.run(predictions, archive=archive, config=CONFIG, stage=stage, split=Split.TEST)
    written = stage.path("froc.json").stat().st_mtime_ns
    assert evaluate.run(predictions, archive=archive, config=CONFIG, stage=stage, split=Split.TEST) == first
    assert stage.path("froc.json").stat().st_mtime_ns == written


def test_two_evaluations_are_compared_by_what_they_kept(four_images: tuple[Archive, Stage], tmp_path: Path):
    archive, predictions = four_images
    better = predicted(
        tmp_path / "better",
        [prediction(n, block(y, 8, value=0.9, scale=4)) for n, y in ((0, 8), (1, 8), (3, 40))]
        + [prediction(2, block(0, 0, value=0, scale=4))],
    )
    stages = {"supervised": Stage(tmp_path / "run", "evaluation"), "round 1": Stage(tmp_path / "better", "evaluation")}
    means = [
        evaluate.run(source, archive=archive, config=CONFIG, stage=stage, split=Split.TEST).metrics["mean"]
        for source, stage in zip((predictions, better), stages.values(), strict=True)
    ]
    systems = {title: evaluated.patient_counts(stage, config=CONFIG) for title, stage in stages.items()}
    rows = compare_systems(systems, baseline="supervised", config=CONFIG)
    assert [row.mean for row in rows] == pytest.approx(means)
    assert rows[1].difference == pytest.approx(2 / 3)
    candidates = pq.ParquetFile(stages["round 1"].path("candidates.parquet")).read()
    assert candidates["lesion"].to_pylist() == [0, 0, 0]  # numbered within the image


def test_without_lesions_the_metrics_are_nan(tmp_path: Path):
    archive = archive_of(tmp_path / "archive", [None, None])
    stage = predicted(tmp_path / "run", [prediction(number, block(8, 8, value=0.9, scale=4)) for number in range(2)])
    metrics = evaluate.run(
        stage, archive=archive, config=CONFIG, stage=Stage(tmp_path / "run", "evaluation"), split=Split.TEST
    ).metrics
    assert math.isnan(metrics["mean"])
    assert metrics["num_fp"] == 2


def test_predictions_without_maps_are_refused(tmp_path: Path):
    archive = archive_of(tmp_path / "archive", [None])
    with pytest.raises(ValueError, match="carries no map: infer what is to be evaluated with keep_maps='all'"):
        evaluate.run(
            predicted(tmp_path, [prediction(0, None)]),
            archive=archive,
            config=CONFIG,
            stage=Stage(tmp_path, "evaluation"),
            split=Split.TEST,
        )


def test_an_image_predicted_twice_is_refused(tmp_path: Path):
    archive = archive_of(tmp_path / "archive", [None])
    rows = [prediction(0, np.zeros((ROWS // 4, COLS // 4)))] * 2
    with pytest.raises(ValueError, match="1 of 2 predictions name an image that has one already"):
        evaluate.run(
            predicted(tmp_path, rows),
            archive=archive,
            config=CONFIG,
            stage=Stage(tmp_path, "evaluation"),
            split=Split.TEST,
        )


def test_an_image_that_the_archive_does_not_know_is_refused(tmp_path: Path):
    archive = archive_of(tmp_path / "archive", [None])
    rows = [prediction(5, np.zeros((ROWS // 4, COLS // 4)))]
    with pytest.raises(ValueError, match="not in the archive's pinned version"):
        evaluate.run(
            predicted(tmp_path, rows),
            archive=archive,
            config=CONFIG,
            stage=Stage(tmp_path, "evaluation"),
            split=Split.TEST,
        )


def test_images_of_another_split_are_passed_over(four_images: tuple[Archive, Stage], tmp_path: Path):
    archive, predictions = four_images
    writable = Archive.open(archive.uri)
    moved = [
        {"image_id": f"i{n}", "patient_id": "p0", "rows": ROWS, "cols": COLS, "split": "validation"} for n in (0, 1)
    ]
    writable.upsert("images", pa.Table.from_pylist(moved, schema=SCHEMAS["images"]))
    metrics = evaluate.run(
        predictions, archive=writable, config=CONFIG, stage=Stage(tmp_path / "run", "evaluation"), split=Split.TEST
    ).metrics
    assert (metrics["num_images"], metrics["num_lesions"], metrics["num_tp"]) == (2, 1, 0)
