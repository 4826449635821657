import math

import numpy as np
import pytest

from system.evaluation.mask_threshold import ThresholdChoice, choose_mask_threshold, mask_grid


def image(*blobs: tuple[int, int, int, float], size: int = 32) -> np.ndarray:
    """A map with squares: top, left, side, value."""
    canvas = np.zeros((size, size), np.float32)
    for top, left, side, value in blobs:
        canvas[top : top + side, left : left + side] = value
    return canvas


def choose(
    maps: list[np.ndarray], masks: list[np.ndarray], *, grid: list[float], min_px: int = 4, default: float = 0.5
) -> ThresholdChoice:
    found = mask_grid(min_px=min_px, grid=grid)
    for probability, mask in zip(maps, masks, strict=True):
        found.add(probability, mask)
    return choose_mask_threshold(found, default=default)


LESION = image((4, 4, 8, 1.0)) > 0
EMPTY = np.zeros((32, 32), bool)


def test_an_under_confident_net_gets_a_low_threshold() -> None:
    maps = [image((4, 4, 8, 0.22), (20, 20, 5, 0.11)), image((20, 20, 5, 0.11))]
    choice = choose(maps, [LESION, EMPTY], grid=[0.05, 0.1, 0.2, 0.5], min_px=4)
    assert choice.threshold == 0.2
    assert (choice.precision, choice.recall, choice.f1) == (1.0, 1.0, 1.0)
    assert choice.reason == "best lesion F1 1.000: 1 of 1 lesions found, 0 false, in 2 validation images"


def test_precision_recall_and_f1_are_as_by_hand() -> None:
    maps = [
        image((4, 4, 8, 0.5), (20, 20, 5, 0.5)),
        image((20, 20, 5, 0.5)),
        image(),
    ]  # one hit, two false, one lesion missed
    choice = choose(maps, [LESION, EMPTY, LESION], grid=[0.3], min_px=4)
    assert (choice.precision, choice.recall) == (pytest.approx(1 / 3), pytest.approx(1 / 2))
    assert choice.f1 == pytest.approx(2 / 5)
    assert choice.num_lesions == 2


def test_of_equally_good_thresholds_the_highest_is_taken() -> None:
    assert choose([image((4, 4, 8, 0.6))], [LESION], grid=[0.5, 0.1, 0.3, 0.7]).threshold == 0.5


def test_an_iou_of_exactly_a_fifth_is_a_false_finding() -> None:
    lesion = np.zeros((32, 32), bool)
    lesion[0:1, 0:3] = True
    overlapping = np.zeros((32, 32), np.float32)
    overlapping[0:1, 2:5] = 0.5  # shares 1 of 5 pixels
    maps, masks = [overlapping, image((4, 4, 8, 0.5))], [lesion, LESION]
    choice = choose(maps, masks, grid=[0.3], min_px=1)
    assert (choice.precision, choice.recall) == (0.5, 0.5)
    overlapping[0:1, 1:2] = 0.5  # shares 2 of 5
    choice = choose(maps, masks, grid=[0.3], min_px=1)
    assert (choice.precision, choice.recall) == (1.0, 1.0)


def test_components_smaller_than_the_least_size_are_no_finding() -> None:
    maps = [image((4, 4, 8, 0.5), (20, 20, 2, 0.5))]
    assert choose(maps, [LESION], grid=[0.3], min_px=5).precision == 1.0
    assert choose(maps, [LESION], grid=[0.3], min_px=4).precision == 0.5


def test_pixels_that_touch_at_a_corner_are_one_component() -> None:
    diagonal = image((4, 4, 4, 0.5), (8, 8, 4, 0.5))
    choice = choose([diagonal], [diagonal > 0], grid=[0.3])
    assert (choice.num_lesions, choice.precision, choice.recall) == (1, 1.0, 1.0)


def test_two_components_on_one_lesion_count_as_one_hit_and_no_false_one() -> None:
    halves = image((4, 4, 8, 0.5))
    halves[4:12, 7:9] = 0.0
    choice = choose([halves], [LESION], grid=[0.3])
    assert (choice.precision, choice.recall) == (1.0, 1.0)


def test_one_component_over_two_lesions_finds_only_one() -> None:
    two = image((4, 4, 8, 1.0), (4, 13, 8, 1.0)) > 0
    bridged = image((4, 4, 8, 0.5), (4, 12, 9, 0.5))
    choice = choose([bridged], [two], grid=[0.3])
    assert (choice.precision, choice.recall) == (1.0, 0.5)


def test_without_a_lesion_the_default_is_taken_and_said() -> None:
    choice = choose([image((4, 4, 8, 0.5))], [EMPTY], grid=[0.3], default=0.15)
    assert choice.threshold == 0.15
    assert math.isnan(choice.f1)
    assert choice.reason == "no lesion in 1 validation images: default 0.15 taken"


def test_where_no_threshold_finds_a_lesion_the_default_is_taken_and_said() -> None:
    choice = choose([image((20, 20, 5, 0.9))], [LESION], grid=[0.3, 0.5], default=0.25)
    assert (choice.threshold, choice.f1) == (0.25, 0.0)
    assert choice.reason == "no threshold from 0.3 to 0.5 finds one of 1 lesions: default 0.25 taken"


def test_an_empty_grid_is_refused() -> None:
    with pytest.raises(ValueError, match="need a grid of thresholds to choose from, found none"):
        mask_grid(min_px=4, grid=[])


def test_the_choice_agrees_with_a_plain_reference_on_noisy_maps() -> None:
    rng = np.random.default_rng(5)
    masks, maps = [], []
    for _ in range(12):
        mask = image((int(rng.integers(2, 20)), int(rng.integers(2, 20)), int(rng.integers(3, 9)), 1.0)) > 0
        masks.append(mask if rng.random() < 0.6 else EMPTY)
        maps.append(np.clip(0.35 * mask * rng.random() + 0.15 * rng.random((32, 32)) ** 2, 0, 1))
    grid = [0.05, 0.1, 0.15, 0.2, 0.3]
    expected = max((plain_f1(maps, masks, threshold=threshold, min_px=3), threshold) for threshold in grid)
    choice = choose(maps, masks, grid=grid, min_px=3)
    assert (choice.f1, choice.threshold) == (pytest.approx(expected[0]), expected[1])


def plain_f1(maps: list[np.ndarray], masks: list[np.ndarray], *, threshold: float, min_px: int) -> float:
    """One lesion an image at most, so that matching is no question."""
    hits = false = lesions = 0
    for probability, mask in zip(maps, masks, strict=True):
        lesions += bool(mask.any())
        pieces = [piece for piece in flood(probability >= threshold) if len(piece) >= min_px]
        truth = {(int(y), int(x)) for y, x in np.argwhere(mask)}
        good = [piece for piece in pieces if len(piece & truth) / len(piece | truth) > 0.2]
        hits += bool(good)
        false += len(pieces) - len(good)
    return 2 * hits / (hits + false + lesions)


def flood(found: np.ndarray) -> list[set[tuple[int, int]]]:
    left, pieces = {(int(y), int(x)) for y, x in np.argwhere(found)}, []
    while left:
        front, piece = [left.pop()], set()
        while front:
            y, x = front.pop()
            piece.add((y, x))
            near = {(y + dy, x + dx) for dy in (-1, 0, 1) for dx in (-1, 0, 1)} & left
            left -= near
            front += near
        pieces.append(piece)
    return pieces
