"""How precise a measurement of so many cases can be."""

import pytest

from system.metrics.expected import surest, wilson


@pytest.mark.parametrize(
    ("share", "num_cases", "low", "high"),
    [
        # Brown, Cai and DasGupta 2001, and R's binom.confint(method = "wilson").
        (0.0, 10, 0.0, 0.2775),
        (0.5, 10, 0.2366, 0.7634),
        (0.7, 10, 0.3968, 0.8922),
        (0.9, 100, 0.8256, 0.9448),
    ],
)
def test_wilsons_interval_is_that_of_the_tables(share: float, num_cases: int, low: float, high: float) -> None:
    assert wilson(share, num_cases=num_cases) == pytest.approx((low, high), abs=1e-4)


@pytest.mark.parametrize(("num_cases", "limit"), [(0, 0.0), (2, 0.0), (10, 0.7), (60, 0.95), (300, 0.99)])
def test_three_over_n_is_what_all_right_leaves_open(num_cases: int, limit: float) -> None:
    assert surest(num_cases) == pytest.approx(limit)
