"""Several trainings of one system on the same patients."""

import numpy as np
import pytest

from system.errors import UserError
from system.metrics import FrocConfig, PatientCounts, compare_systems, gain_over_seeds, match, over_seeds, paired
from system.metrics.bootstrap import count_by_patient
from system.metrics.matching import gather

CONFIG = FrocConfig(bootstrap=200, fppi=(0.1, 1.0))
NUM_IMAGES = 60


def counts(seed: int, *, skill: float = 0.5, patients: str = "p") -> PatientCounts:
    """One lesion an image, found by luck and skill, and a false positive in every second."""
    rng = np.random.default_rng(seed)
    images = []
    for number in range(NUM_IMAGES):
        hit, false = rng.random() < skill, number % 2
        iou = np.array([[0.8]] * hit + [[0.0]] * false).reshape(-1, 1)
        images.append((rng.random(len(iou)), iou))
    detections = gather(images)
    whose = [f"{patients}{number // 2}" for number in range(NUM_IMAGES)]
    return count_by_patient(detections, match(detections, iou=0.2), image_patient=whose, config=CONFIG)


def test_one_seed_is_what_it_is_alone() -> None:
    (alone,) = compare_systems({"one": counts(0)}, baseline="one", config=CONFIG)
    row = over_seeds([counts(0)], config=CONFIG)
    assert (row.sensitivity, row.mean, row.each) == (alone.sensitivity, alone.mean, (alone.mean,))
    assert row.interval == alone.interval


def test_several_seeds_are_their_mean_and_each_is_kept() -> None:
    first, second = (over_seeds([counts(seed)], config=CONFIG) for seed in (0, 1))
    both = over_seeds([counts(0), counts(1)], config=CONFIG)
    assert both.each == (first.mean, second.mean)
    assert first.mean != second.mean
    assert both.mean == pytest.approx((first.mean + second.mean) / 2)
    assert both.sensitivity[1.0] == pytest.approx((first.sensitivity[1.0] + second.sensitivity[1.0]) / 2)


def test_the_interval_is_that_of_the_mean_of_the_seeds() -> None:
    first, second, both = (
        over_seeds(seeds, config=CONFIG).interval for seeds in ([counts(0)], [counts(1)], [counts(0), counts(1)])
    )
    assert both not in (first, second)
    assert both.high - both.low < max(first.high - first.low, second.high - second.low)
    assert over_seeds([counts(0), counts(0)], config=CONFIG).interval.pair() == pytest.approx(first.pair())


def test_a_gain_is_second_minus_first_on_the_same_resamples() -> None:
    weak, strong = [counts(0), counts(1)], [counts(2, skill=0.9), counts(3, skill=0.9)]
    gain, interval = gain_over_seeds(weak, strong, config=CONFIG)
    back, mirrored = gain_over_seeds(strong, weak, config=CONFIG)
    assert gain == pytest.approx(over_seeds(strong, config=CONFIG).mean - over_seeds(weak, config=CONFIG).mean)
    assert 0 < interval.low < gain < interval.high
    assert (back, mirrored.low, mirrored.high) == pytest.approx((-gain, -interval.high, -interval.low))
    same, none = gain_over_seeds(weak, weak, config=CONFIG)
    assert (same, none.low, none.high) == (0.0, 0.0, 0.0)


def test_seeds_on_other_patients_are_not_averaged() -> None:
    with pytest.raises(ValueError, match="the same patients and lesions only"):
        over_seeds([counts(0), counts(0, patients="q")], config=CONFIG)


def test_a_pair_of_systems_is_compared_on_the_same_patients_in_either_direction() -> None:
    worse, better = counts(0, skill=0.3), counts(1, skill=0.7)
    up, down = paired(worse, better, config=CONFIG), paired(better, worse, config=CONFIG)
    gain, interval = gain_over_seeds([worse], [better], config=CONFIG)
    assert (up.difference, up.interval) == (gain, interval)
    assert up.interval.low < up.difference < up.interval.high
    assert down.difference == pytest.approx(-up.difference)
    assert down.interval.pair() == pytest.approx((-up.interval.high, -up.interval.low))
    same = paired(better, better, config=CONFIG)
    assert (same.difference, same.interval.pair()) == (0.0, (0.0, 0.0))


def test_a_pair_of_other_patients_is_refused() -> None:
    with pytest.raises(UserError, match="needs the same patients and lesions on both sides"):
        paired(counts(0), counts(0, patients="q"), config=CONFIG)
