"""The population stability index against its formula, and where it says nothing."""

import math

import numpy as np
import pytest

from system.continuous.drift import MIN_VALUES, stability_index

RNG = np.random.default_rng(0)


def test_it_is_the_sum_over_bins_of_the_formula() -> None:
    reference = np.repeat([0.1, 0.9], [50, 50])
    now = np.repeat([0.1, 0.9], [80, 20])
    expected = (0.8 - 0.5) * math.log(0.8 / 0.5) + (0.2 - 0.5) * math.log(0.2 / 0.5)
    assert stability_index(reference, now, num_bins=2) == pytest.approx(expected)


def test_the_same_distribution_is_near_0_and_another_is_not() -> None:
    reference = RNG.beta(1, 5, size=4000)
    assert stability_index(reference, RNG.beta(1, 5, size=4000)) < 0.02
    assert stability_index(reference, RNG.beta(2, 3, size=4000)) > 0.25
    assert stability_index(reference, reference) == 0


def test_an_empty_bin_is_large_and_finite() -> None:
    found = stability_index(np.linspace(0, 1, 1000), np.full(1000, 0.05))
    assert 1 < found < math.inf


def test_too_few_values_give_no_index_and_nan_does_not_count() -> None:
    enough, few = RNG.random(MIN_VALUES), RNG.random(MIN_VALUES - 1)
    assert math.isnan(stability_index(enough, few))
    assert math.isnan(stability_index(few, enough))
    assert math.isnan(stability_index(enough, [*few, math.nan]))
    assert not math.isnan(stability_index(enough, enough))
