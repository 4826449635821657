"""Intervals by resampling patients."""

import numpy as np
import pytest

from system.metrics import FrocConfig, compare_systems, froc_curve, match, sensitivity_at
from system.metrics.bootstrap import (
    PatientCounts,
    count_by_patient,
    intervals,
    paired_difference,
    resampled_sensitivity,
)
from system.metrics.matching import gather

CONFIG = FrocConfig(bootstrap=200)


def made_images(rng: np.random.Generator, *, num_images: int, skill: float) -> list[tuple[np.ndarray, np.ndarray]]:
    """Return images of which half hold one lesion; skill is the chance to find it."""
    images: list[tuple[np.ndarray, np.ndarray]] = []
    for index in range(num_images):
        num_lesions, num_candidates = index % 2, int(rng.integers(0, 3))
        iou = np.zeros((num_candidates + num_lesions, num_lesions))
        if num_lesions:
            iou[0, 0] = float(rng.random() < skill)
        images.append((rng.random(len(iou)).round(2), iou))
    return images


def counted(
    images: list[tuple[np.ndarray, np.ndarray]], patients: list[str], *, config: FrocConfig = CONFIG
) -> PatientCounts:
    detections = gather(images)
    return count_by_patient(detections, match(detections, iou=config.iou), image_patient=patients, config=config)


def patients_of(num_images: int, *, each: int = 4) -> list[str]:
    return [f"p{index // each:04d}" for index in range(num_images)]


def test_a_resample_has_the_curve_of_the_images_it_repeats() -> None:
    rng = np.random.default_rng(0)
    images, patients = made_images(rng, num_images=24, skill=0.7), patients_of(24)
    weights = rng.integers(0, 3, size=6).astype(float)
    drawn = resampled_sensitivity(counted(images, patients), weights=weights[None], fppi=CONFIG.fppi)[0]
    repeated = [
        image
        for number, weight in enumerate(weights)
        for _ in range(int(weight))
        for image in images[4 * number : 4 * number + 4]
    ]
    detections = gather(repeated)
    curve = froc_curve(detections, match(detections, iou=CONFIG.iou), config=CONFIG)
    assert drawn.tolist() == pytest.approx([sensitivity_at(curve, fppi=x) for x in CONFIG.fppi])
    assert 0 < drawn[0] <= drawn[-1] < 1


def test_false_positives_are_counted_per_image_drawn() -> None:
    """The first patient has one image, with a false positive above the lesion; the second three without candidates."""
    images = [(np.array([0.9, 0.8]), np.array([[0.0], [0.5]]))] + [(np.empty(0), np.empty((0, 0)))] * 3
    counts = counted(images, ["a", "b", "b", "b"])
    drawn = resampled_sensitivity(counts, weights=np.array([[1.0, 1.0], [2.0, 0.0]]), fppi=[0.25, 0.5])
    assert drawn.tolist() == [[1.0, 1.0], [0.0, 0.0]]


def test_the_same_seed_gives_the_same_interval_and_another_seed_another() -> None:
    counts = counted(made_images(np.random.default_rng(1), num_images=80, skill=0.6), patients_of(80))
    first, again, other = (intervals(counts, config=CONFIG, rng=np.random.default_rng(seed)) for seed in (0, 0, 1))
    assert first == again
    assert first != other


def test_intervals_cover_the_truth_in_about_95_of_100_cases() -> None:
    # Every hit counts: the sensitivity is the share of hits, expected 0.6.
    config = FrocConfig(bootstrap=200, fppi=(100.0,))
    covered = 0
    for seed in range(100):
        rng = np.random.default_rng(seed)
        _, mean = intervals(
            counted(made_images(rng, num_images=200, skill=0.6), patients_of(200), config=config),
            config=config,
            rng=rng,
        )
        covered += mean.low <= 0.6 <= mean.high
    assert 88 <= covered <= 99


def test_a_system_compared_with_itself_differs_by_nothing() -> None:
    counts = counted(made_images(np.random.default_rng(1), num_images=40, skill=0.6), patients_of(40))
    difference = paired_difference(counts, counts, config=CONFIG, rng=np.random.default_rng(0))
    assert (difference.low, difference.high) == (0.0, 0.0)


def test_pairing_narrows_the_interval_of_a_small_gain() -> None:
    rng = np.random.default_rng(2)
    images = made_images(rng, num_images=200, skill=0.5)
    better = [
        (scores, np.where(rng.random(iou.shape) < 0.1, 1.0, iou) if len(scores) == 1 else iou) for scores, iou in images
    ]
    first, second = counted(images, patients_of(200)), counted(better, patients_of(200))
    difference = paired_difference(first, second, config=CONFIG, rng=np.random.default_rng(0))
    _, alone = intervals(first, config=CONFIG, rng=np.random.default_rng(0))
    assert difference.high - difference.low < 0.6 * (alone.high - alone.low)


def test_other_patients_cannot_be_paired() -> None:
    images = made_images(np.random.default_rng(1), num_images=8, skill=0.6)
    first, second = counted(images, patients_of(8)), counted(images, ["x"] * 8)
    with pytest.raises(ValueError, match="the same patients and lesions on both sides: found 2 patients"):
        paired_difference(first, second, config=CONFIG, rng=np.random.default_rng(0))


def test_without_lesions_the_interval_is_nan_and_rests_on_no_resample() -> None:
    counts = counted([(np.array([0.5]), np.zeros((1, 0)))] * 4, patients_of(4))
    _, mean = intervals(counts, config=CONFIG, rng=np.random.default_rng(0))
    assert np.isnan([mean.low, mean.high]).all()
    assert mean.num_resamples == 0


def test_the_comparison_names_each_system_and_its_gain_over_the_baseline() -> None:
    rng = np.random.default_rng(4)
    systems = {
        title: counted(made_images(rng, num_images=200, skill=skill), patients_of(200))
        for title, skill in (("supervised", 0.3), ("round 1", 0.9))
    }
    baseline, better = compare_systems(systems, baseline="supervised", config=CONFIG)
    assert (baseline.difference, baseline.difference_interval.pair()) == (0.0, (0.0, 0.0))
    assert better.difference == pytest.approx(better.mean - baseline.mean)
    assert better.difference_interval.low > 0
    assert list(better.sensitivity) == list(CONFIG.fppi)
    assert better.interval.low <= better.mean <= better.interval.high


def test_a_comparison_needs_its_baseline() -> None:
    with pytest.raises(ValueError, match="no system is called 'stage 1': found round 1"):
        compare_systems(
            {"round 1": counted(made_images(np.random.default_rng(1), num_images=4, skill=1), patients_of(4))},
            baseline="stage 1",
            config=CONFIG,
        )
