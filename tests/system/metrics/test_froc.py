"""FROC cases worked by hand."""

import numpy as np
import pytest

from system.metrics import Curve, FrocConfig, Outcome, froc_curve, match, mean_sensitivity, sensitivity_at
from system.metrics.matching import gather

CONFIG = FrocConfig(fppi=(0.5, 1.0))


def image(*candidates: tuple[float, list[float]], num_lesions: int) -> tuple[np.ndarray, np.ndarray]:
    """Return one image's scores and IoU matrix from (score, IoU with each lesion)."""
    scores = np.array([score for score, _ in candidates])
    return scores, np.array([iou for _, iou in candidates], dtype=float).reshape(len(candidates), num_lesions)


def curve_of(*images: tuple[np.ndarray, np.ndarray], config: FrocConfig = CONFIG) -> Curve:
    detections = gather(images)
    return froc_curve(detections, match(detections, iou=config.iou), config=config)


def outcomes(*images: tuple[np.ndarray, np.ndarray], iou: float = 0.2) -> list[int]:
    return match(gather(images), iou=iou).outcome.tolist()


def test_a_sweep_counts_hits_and_false_positives_over_all_images() -> None:
    curve = curve_of(image((0.9, [0.5]), (0.4, [0.0]), num_lesions=1), image((0.7, []), num_lesions=0))
    assert curve.threshold.tolist() == [0.9, 0.7, 0.4]
    assert curve.fppi.tolist() == [0.0, 0.5, 1.0]
    assert curve.sensitivity.tolist() == [1.0, 1.0, 1.0]


def test_without_a_lesion_the_sensitivity_is_nan_and_not_zero() -> None:
    curve = curve_of(image((0.9, []), num_lesions=0))
    assert np.isnan(curve.sensitivity).all()
    assert np.isnan(sensitivity_at(curve, fppi=1.0))
    assert np.isnan(mean_sensitivity(curve, fppi=CONFIG.fppi))


def test_without_a_candidate_nothing_is_found_and_the_curve_ends_at_zero() -> None:
    curve = curve_of(image(num_lesions=1), image(num_lesions=0))
    assert sensitivity_at(curve, fppi=1.0) == 0.0
    assert curve.end_fppi == 0.0


def test_without_an_image_it_is_refused() -> None:
    with pytest.raises(ValueError, match="at least one image: found 0"):
        curve_of()


def test_further_hits_on_a_found_lesion_count_neither_way() -> None:
    twice = image((0.9, [0.5]), (0.8, [0.6]), num_lesions=1)
    assert outcomes(twice) == [Outcome.TRUE_POSITIVE, Outcome.DUPLICATE]
    assert curve_of(twice).fppi.tolist() == [0.0, 0.0]


def test_further_hits_count_as_false_positives_under_the_other_rule() -> None:
    twice = image((0.9, [0.5]), (0.8, [0.6]), num_lesions=1)
    assert curve_of(twice, config=FrocConfig(duplicates="fp")).fppi.tolist() == [0.0, 1.0]


def test_a_candidate_over_two_lesions_finds_the_one_it_overlaps_most() -> None:
    detections = gather([image((0.9, [0.3, 0.4]), num_lesions=2)])
    matched = match(detections, iou=0.2)
    assert matched.lesion.tolist() == [1]
    assert matched.iou.tolist() == [0.4]
    assert curve_of(image((0.9, [0.3, 0.4]), num_lesions=2)).sensitivity.tolist() == [0.5]


def test_a_candidate_whose_best_lesion_is_taken_finds_the_free_one() -> None:
    assert outcomes(image((0.9, [0.0, 0.5]), (0.8, [0.3, 0.6]), num_lesions=2)) == [Outcome.TRUE_POSITIVE] * 2


def test_an_overlap_of_exactly_the_limit_is_no_hit() -> None:
    assert outcomes(image((0.9, [0.2]), num_lesions=1)) == [Outcome.FALSE_POSITIVE]


def test_the_higher_score_goes_first_also_with_the_smaller_overlap() -> None:
    matched = match(gather([image((0.8, [0.9]), (0.9, [0.3]), num_lesions=1)]), iou=0.2)
    assert matched.outcome.tolist() == [Outcome.DUPLICATE, Outcome.TRUE_POSITIVE]


def test_tied_scores_are_one_operating_point() -> None:
    curve = curve_of(image((0.9, [0.5]), num_lesions=1), image((0.9, []), num_lesions=0))
    assert curve.fppi.tolist() == [0.5]
    assert sensitivity_at(curve, fppi=0.4) == 0.0
    assert sensitivity_at(curve, fppi=0.5) == 1.0


@pytest.mark.parametrize("reverse", [False, True])
def test_among_tied_scores_the_order_of_the_input_does_not_matter(reverse: bool) -> None:
    candidates = [
        (0.9, [0.5, 0.3]),
        (0.9, [0.6, 0.0]),
    ]  # the second must have lesion 0, so that the first can have lesion 1
    detections = gather([image(*(candidates[::-1] if reverse else candidates), num_lesions=2)])
    assert match(detections, iou=0.2).outcome.tolist() == [Outcome.TRUE_POSITIVE] * 2


def test_beyond_its_end_the_curve_keeps_its_last_value() -> None:
    curve = curve_of(image((0.9, [0.5]), num_lesions=1), image((0.8, [0.0]), num_lesions=1))
    assert curve.end_fppi == 0.5
    assert sensitivity_at(curve, fppi=1.0) == 0.5


def test_between_two_operating_points_nothing_is_interpolated() -> None:
    curve = curve_of(image((0.9, [0.0]), (0.8, [0.5]), num_lesions=1))
    assert sensitivity_at(curve, fppi=0.99) == 0.0
    assert sensitivity_at(curve, fppi=1.0) == 1.0


def test_three_false_positives_in_thirty_images_are_a_tenth() -> None:
    images = [image((0.9, []), num_lesions=0)] * 3 + [image((0.8, [0.5]), num_lesions=1)] + [image(num_lesions=0)] * 26
    assert sensitivity_at(curve_of(*images), fppi=0.1) == 1.0  # 0.1 * 30 is not 3 in floating point


def test_lesions_of_other_images_are_not_taken() -> None:
    matched = match(gather([image((0.9, [0.5]), num_lesions=1), image((0.8, [0.5]), num_lesions=1)]), iou=0.2)
    assert matched.lesion.tolist() == [0, 1]


def test_scores_without_their_overlaps_are_refused() -> None:
    with pytest.raises(ValueError, match=r"image 0: 2 scores but an IoU matrix of shape \(1, 1\)"):
        gather([(np.array([0.1, 0.2]), np.ones((1, 1)))])


def test_the_match_agrees_with_a_plain_loop_on_random_images() -> None:
    rng = np.random.default_rng(3)
    for _ in range(200):
        scores = rng.random(rng.integers(0, 6))
        iou = rng.random((len(scores), rng.integers(0, 4))) * (rng.random() > 0.2)
        free, expected = set(range(iou.shape[1])), [int(Outcome.FALSE_POSITIVE)] * len(scores)
        for candidate in np.argsort(-scores):
            hit = [lesion for lesion in range(iou.shape[1]) if iou[candidate, lesion] > 0.2]
            open_hits = [lesion for lesion in hit if lesion in free]
            if open_hits:
                free.remove(max(open_hits, key=lambda lesion: iou[candidate, lesion]))
                expected[candidate] = int(Outcome.TRUE_POSITIVE)
            elif hit:
                expected[candidate] = int(Outcome.DUPLICATE)
        assert outcomes((scores, iou)) == expected
