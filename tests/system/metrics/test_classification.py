"""Image-level measures: by hand, against a plain integration, and by resampling patients."""

from collections.abc import Callable
from dataclasses import astuple

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from system.metrics.classification import (
    at_threshold,
    auroc,
    corloc,
    dice,
    image_level,
    paired_difference_of,
    partial_auc_ratio,
    resampled,
    specificity_at,
)
from system.metrics.matching import gather

TRUTH = np.array([True, True, True, True, True, False, False, False, False, False])
SCORE = np.array([0.9, 0.8, 0.7, 0.6, 0.2, 0.75, 0.5, 0.4, 0.3, 0.1])


def test_the_area_is_the_share_of_pairs_in_the_right_order() -> None:
    pairs = [(a > b) + 0.5 * (a == b) for a in SCORE[TRUTH] for b in SCORE[~TRUTH]]
    assert auroc(TRUTH, SCORE) == pytest.approx(np.mean(pairs))


@pytest.mark.parametrize("seed", range(5))
def test_the_area_agrees_with_scikit_learn_with_ties_and_weights(seed: int) -> None:
    rng = np.random.default_rng(seed)
    truth, weight = rng.random(200) < 0.3, rng.integers(0, 4, 200).astype(float)
    score = np.round(rng.normal(size=200) + truth, 1)
    assert auroc(truth, score) == pytest.approx(roc_auc_score(truth, score), abs=1e-12)
    assert auroc(truth, score, weight) == pytest.approx(roc_auc_score(truth, score, sample_weight=weight), abs=1e-12)


def test_the_partial_area_is_the_mean_specificity_over_the_high_sensitivities() -> None:
    """Sensitivity .8 to 1 is the fifth positive, at score 0.2: four of five negatives are above it."""
    assert partial_auc_ratio(TRUTH, SCORE) == pytest.approx(0.2)
    # from .6 on: the fourth positive too, at 0.6, above all negatives but one
    assert partial_auc_ratio(TRUTH, SCORE, low=0.6) == pytest.approx((0.8 + 0.2) / 2)


@pytest.mark.parametrize("seed", range(5))
def test_the_partial_area_agrees_with_counting_pairs(seed: int) -> None:
    rng = np.random.default_rng(seed)
    truth = np.array([True] * 50 + [False] * 80)
    score = rng.normal(size=130) + truth
    lowest = np.sort(score[truth])[:10]  # the fifth of the positives that a sensitivity of .8 leaves
    pairs = np.mean([(score[~truth] < value).mean() for value in lowest])
    assert partial_auc_ratio(truth, score) == pytest.approx(pairs)


def test_a_coin_has_a_partial_area_of_a_tenth_and_a_perfect_reader_one_of_one() -> None:
    assert partial_auc_ratio(TRUTH, np.ones(10)) == pytest.approx(0.1)
    assert partial_auc_ratio(TRUTH, TRUTH.astype(float)) == pytest.approx(1.0)


def test_specificity_is_the_best_with_at_least_the_sensitivity() -> None:
    assert specificity_at(TRUTH, SCORE, sensitivity=0.8) == 0.8
    assert specificity_at(TRUTH, SCORE, sensitivity=0.85) == pytest.approx(0.2)
    assert specificity_at(TRUTH, SCORE, sensitivity=0.6) == 0.8


@pytest.mark.parametrize("measure", [auroc, partial_auc_ratio])
def test_with_one_class_there_is_no_curve(measure: Callable[..., float]) -> None:
    assert np.isnan(measure(np.ones(3, bool), np.arange(3.0)))
    assert np.isnan(measure(TRUTH, SCORE, TRUTH.astype(float)))
    assert np.isnan(specificity_at(np.zeros(3, bool), np.arange(3.0), sensitivity=0.9))


def test_a_weight_counts_an_image_so_often() -> None:
    weight = np.array([2, 1, 1, 0, 1, 1, 3, 1, 0, 1.0])
    often = np.repeat(np.arange(10), weight.astype(int))
    for measure in (auroc, partial_auc_ratio, lambda *given: specificity_at(*given, sensitivity=0.85)):
        assert measure(TRUTH, SCORE, weight) == pytest.approx(measure(TRUTH[often], SCORE[often], None))


def test_a_threshold_gives_accuracy_recall_and_f1s() -> None:
    found = at_threshold(TRUTH, SCORE, threshold=0.5)
    assert found.accuracy == 0.7
    assert found.recall == 0.8
    assert found.f1 == pytest.approx(8 / 11)
    assert found.average_f1 == pytest.approx((8 / 11 + 6 / 9) / 2) == found.weighted_f1


def test_dice_counts_the_shared_area_twice() -> None:
    mask, truth = np.zeros((4, 4), bool), np.zeros((4, 4), bool)
    mask[:2], truth[1:3] = True, True
    assert dice(mask, truth) == 0.5
    assert np.isnan(dice(mask, np.zeros((4, 4), bool)))


def test_corloc_needs_a_sure_candidate_on_the_lesion() -> None:
    found = (np.array([0.9, 0.4]), np.array([[0.6], [0.9]]))
    unsure = (np.array([0.4]), np.array([[0.9]]))
    beside = (np.array([0.9]), np.array([[0.5]]))
    clean = (np.array([0.9]), np.zeros((1, 0)))
    assert corloc(gather([found, unsure, beside, clean])) == pytest.approx(1 / 3)
    assert np.isnan(corloc(gather([clean])))


def test_a_better_system_differs_from_its_equal_on_the_same_patients() -> None:
    rng = np.random.default_rng(0)
    truth = rng.random(400) < 0.3
    patient = np.array([f"p{number // 4}" for number in range(400)])
    score = rng.normal(size=400) + truth
    better = score + 0.5 * truth + rng.normal(scale=0.2, size=400)
    gain, interval = paired_difference_of(auroc, truth, score, better, patient=patient, num_resamples=200)
    assert gain == pytest.approx(auroc(truth, better) - auroc(truth, score))
    assert 0 < interval.low < gain < interval.high
    same, none = paired_difference_of(auroc, truth, score, score, patient=patient, num_resamples=50)
    assert (same, none.low, none.high) == (0.0, 0.0, 0.0)


def test_a_patients_images_are_drawn_together() -> None:
    """One patient has all that is found: it is in a resample or it is not, so the statistic takes few values."""
    truth, score = np.array([True] * 4 + [False] * 4), np.array([0.9] * 4 + [0.1] * 4)
    patient = np.array(["a"] * 4 + ["b"] * 4)
    drawn = resampled(
        lambda truth, _, weight: float(weight[truth].sum()), truth, score, patient=patient, num_resamples=100, seed=0
    )
    assert set(drawn.tolist()) == {0.0, 4.0, 8.0}


def test_other_images_cannot_be_paired() -> None:
    with pytest.raises(ValueError, match="the same images on both sides: 10 truths, 10 and 9 scores"):
        paired_difference_of(auroc, TRUTH, SCORE, SCORE[:9], patient=np.array(list("abcdefghij")))


def test_image_level_gives_the_area_an_interval() -> None:
    found = image_level(TRUTH, SCORE, patient=np.array(list("abcdefghij")), num_resamples=100, seed=0)
    low, high = found.auroc_interval
    assert low < found.auroc < high
    assert (found.specificity_at["0.85"], found.at_even_odds.recall) == (pytest.approx(0.2), 0.8)


def test_a_system_that_does_not_judge_whole_images_has_no_image_level_measure() -> None:
    found = image_level(TRUTH, np.full(10, np.nan), patient=np.array(list("abcdefghij")), num_resamples=10, seed=0)
    numbers = [found.auroc, *found.auroc_interval, found.partial_auc_ratio, *found.specificity_at.values()]
    assert len(numbers) > 4
    assert np.isnan([*numbers, *astuple(found.at_even_odds)]).all()
