"""Candidates cut at half of their own peak, beside a slow reading of the same definition."""

import numpy as np
import pytest
from scipy import ndimage

from system.maps import label_components, upsample
from system.own_peak import NEGLIGIBLE, own_peak_components


def hill(at: tuple[int, int], *, peak: float, radius: float, shape: tuple[int, int] = (48, 64)) -> np.ndarray:
    """A cone that falls to zero at the radius."""
    y, x = np.indices(shape)
    return np.maximum(0, peak * (1 - np.hypot(y - at[0], x - at[1]) / radius)).astype(np.float32)


Candidate = tuple[float, frozenset[tuple[int, int]]]
"""Its peak and its pixels."""


def pixels_of(mask: np.ndarray) -> frozenset[tuple[int, int]]:
    return frozenset((int(y), int(x)) for y, x in np.argwhere(mask))


def plain(probability: np.ndarray, *, min_px: int) -> list[Candidate]:
    """Each maximum by falling value: label the whole map at half of it, look at the one component."""
    highest_around = ndimage.maximum_filter(probability, size=3, mode="constant")
    maxima = pixels_of((probability == highest_around) & (probability >= NEGLIGIBLE))
    taken = np.zeros(probability.shape, dtype=bool)
    found: list[Candidate] = []
    for place in sorted(maxima, key=lambda place: -probability[place]):
        labels, _ = label_components(probability >= 0.5 * probability[place])
        component = labels == labels[place]
        if not taken[component].any() and component.sum() >= min_px:
            taken |= component
            found.append((float(probability[place]), pixels_of(component)))
    return found


def as_sets(probability: np.ndarray, *, min_px: int) -> list[Candidate]:
    found, peaks = own_peak_components(probability, min_px=min_px)
    sets = [pixels_of(found.labels == number) for number in range(1, len(peaks) + 1)]
    assert found.area_px.tolist() == [len(each) for each in sets]
    assert np.count_nonzero(found.labels) == found.area_px.sum()
    return list(zip(peaks.tolist(), sets, strict=True))


def test_a_faint_and_a_bright_mass_are_cut_at_the_same_relative_height() -> None:
    bright, faint = hill((20, 16), peak=0.9, radius=12), hill((20, 46), peak=0.09, radius=12)
    found, peaks = own_peak_components(bright + faint, min_px=4)
    assert peaks.tolist() == [pytest.approx(0.9), pytest.approx(0.09)]
    assert found.area_px[0] == found.area_px[1] == np.count_nonzero(hill((20, 16), peak=1, radius=12) >= 0.5)


def test_a_shoulder_is_no_candidate() -> None:
    high, low = hill((20, 16), peak=0.9, radius=16), hill((20, 25), peak=0.5, radius=10)
    both = np.maximum(high, low)
    (peak, pixels), *others = as_sets(both, min_px=1)
    assert others == []
    assert peak == pytest.approx(0.9)
    assert (20, 25) in pixels  # the saddle lies above half of the higher peak
    apart = np.maximum(hill((20, 16), peak=0.9, radius=16), hill((20, 30), peak=0.4, radius=10))
    assert [peak for peak, _ in as_sets(apart, min_px=1)] == [pytest.approx(0.9)]  # above half of the lower one alone


def test_two_masses_with_a_deep_valley_between_them_are_two() -> None:
    both = np.maximum(hill((20, 14), peak=0.9, radius=12), hill((20, 40), peak=0.8, radius=12))
    assert [peak for peak, _ in as_sets(both, min_px=1)] == [pytest.approx(0.9), pytest.approx(0.8)]


def test_a_speck_is_no_candidate_and_hides_none() -> None:
    mass = hill((20, 20), peak=0.3, radius=12)
    mass[24, 24] = 0.9
    (peak, pixels), *others = as_sets(mass, min_px=4)
    assert others == []
    assert peak == pytest.approx(0.3)
    assert (24, 24) in pixels


def test_negligible_maxima_are_left_out() -> None:
    faint = hill((20, 20), peak=0.9 * NEGLIGIBLE, radius=12)
    found, peaks = own_peak_components(faint, min_px=1)
    assert (peaks.shape, found.area_px.shape, found.labels.any()) == ((0,), (0,), np.False_)


def test_pixels_that_touch_at_a_corner_belong_together() -> None:
    diagonal = np.zeros((8, 8), dtype=np.float32)
    diagonal[2, 2], diagonal[3, 3] = 0.8, 0.6
    assert [len(pixels) for _, pixels in as_sets(diagonal, min_px=1)] == [2]


def test_a_plateau_is_one_candidate() -> None:
    flat = np.zeros((20, 20), dtype=np.float32)
    flat[4:12, 4:12] = 1.0
    flat[4:10, 6:10] = 0.6  # a U, whose arms meet at the bottom
    assert [(peak, len(pixels)) for peak, pixels in as_sets(flat, min_px=1)] == [(1.0, 64)]


@pytest.mark.parametrize("min_px", [1, 12])
def test_the_candidates_are_those_of_the_plain_reading(min_px: int) -> None:
    rng = np.random.default_rng(7)
    for power in (0.3, 1, 3, 8):
        coarse = rng.random((10, 12), dtype=np.float32) ** power
        for probability in (coarse, upsample(coarse, shape=(40, 48)), 0.06 * upsample(coarse, shape=(40, 48))):
            assert as_sets(probability, min_px=min_px) == plain(probability, min_px=min_px)


def test_maxima_of_equal_height_give_each_candidate_once() -> None:
    rng = np.random.default_rng(8)
    for _ in range(10):
        steps = rng.integers(0, 6, (20, 24)).astype(np.float32) / 5
        found = as_sets(steps, min_px=1)
        assert {pixels for _, pixels in found} == {pixels for _, pixels in plain(steps, min_px=1)}
