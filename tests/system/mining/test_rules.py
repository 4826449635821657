import numpy as np
import pytest
from pydantic import ValidationError

from system.mining.rules import P0Schedule, disputed, distance_to_bound, quadrants, sure_score
from system.records import Quadrant

TP, FP, FN, TN, UNUSED = Quadrant.TP, Quadrant.FP, Quadrant.FN, Quadrant.TN, Quadrant.UNUSED


@pytest.mark.parametrize(
    ("p_mass", "has_mask", "expected"),
    [
        (0.99, True, TP),
        (0.01, True, FP),
        (0.99, False, FN),
        (0.01, False, TN),
        (0.5, True, UNUSED),
        (0.5, False, UNUSED),
    ],
)
def test_each_cell_of_the_papers_table_has_its_quadrant(p_mass: float, has_mask: bool, expected: Quadrant) -> None:
    found = quadrants(np.array([p_mass], np.float32), np.array([has_mask]), p0=0.95)
    assert found.dtype == np.uint8
    assert found.tolist() == [expected]


@pytest.mark.parametrize("p0", [0.95, 0.85, 0.75, 0.6, 0.5])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_a_label_exactly_on_a_bound_is_not_used(p0: float, dtype: type) -> None:
    on_the_bounds = np.array([p0, round(1 - p0, 9)], dtype)
    assert quadrants(on_the_bounds, np.array([True, True]), p0=p0).tolist() == [UNUSED, UNUSED]


@pytest.mark.parametrize("p0", [0.95, 0.85, 0.75, 0.5])
def test_the_next_number_beyond_a_bound_is_used(p0: float) -> None:
    above = np.nextafter(np.float32(p0), np.float32(1))
    below = np.nextafter(np.float32(1 - p0), np.float32(0))
    assert quadrants(np.array([above, below]), np.array([False, False]), p0=p0).tolist() == [FN, TN]


def test_an_image_without_report_is_never_used() -> None:
    assert quadrants(np.array([np.nan, np.nan], np.float32), np.array([True, False]), p0=0.5).tolist() == [
        UNUSED,
        UNUSED,
    ]


def test_no_image_gives_no_quadrant() -> None:
    assert quadrants(np.zeros(0, np.float32), np.zeros(0, bool), p0=0.95).shape == (0,)


@pytest.mark.parametrize("p0", [0.4, 1.0, 1.2, float("nan")])
def test_a_p0_at_which_a_report_could_say_both_or_nothing_is_refused(p0: float) -> None:
    with pytest.raises(ValueError, match=f"p0 is {p0}, must be at least 0.5"):
        quadrants(np.zeros(1), np.zeros(1, bool), p0=p0)


def test_the_default_schedule_is_the_papers_and_falls_without_rounding_dust() -> None:
    assert [P0Schedule().at(epoch) for epoch in range(15)] == [0.95] * 5 + [0.85] * 5 + [0.75] * 5


def test_p0_falls_on_round_numbers() -> None:
    assert 0.95 - 0.05 * 3 != 0.8  # what would become a file's name and a bound
    assert P0Schedule(step=0.05, every_epochs=1).values(4) == [0.95, 0.9, 0.85, 0.8]


def test_p0_stops_at_its_minimum() -> None:
    schedule = P0Schedule(start=0.9, step=0.2, every_epochs=1, minimum=0.6)
    assert schedule.values(5) == [0.9, 0.7, 0.6]


def test_a_short_round_has_fewer_values() -> None:
    assert P0Schedule().values(5) == [0.95]
    assert P0Schedule().values(6) == [0.95, 0.85]
    assert P0Schedule(step=0.0).values(15) == [0.95]


def test_epochs_count_from_zero() -> None:
    with pytest.raises(ValueError, match="count from 0, got -1"):
        P0Schedule().at(-1)


@pytest.mark.parametrize(
    "wrong", [{"start": 1.2}, {"start": 0.4}, {"every_epochs": 0}, {"step": -0.1}, {"minimum": 0.3}, {"begin": 0.9}]
)
def test_an_impossible_schedule_is_refused(wrong: dict) -> None:
    with pytest.raises(ValidationError):
        P0Schedule(**wrong)


def test_a_minimum_above_the_start_is_refused() -> None:
    with pytest.raises(ValidationError, match=r"minimum 0.9 is above its start 0.8"):
        P0Schedule(start=0.8, minimum=0.9)


def test_the_nearer_of_both_bounds_counts() -> None:
    found = distance_to_bound(np.array([0.9, 0.5, 0.1, 0.0, np.nan], np.float32), p0=0.8)
    np.testing.assert_allclose(found, [0.1, 0.3, 0.1, 0.2, np.nan], atol=1e-6)


@pytest.mark.parametrize(("agreed", "expected"), [([0.2, 0.9, 0.6], 0.6), ([0.25, 0.75], 0.5), ([0.4], 0.4)])
def test_half_of_tp_exceed_the_sure_score_whatever_the_others_score(agreed: list[float], expected: float) -> None:
    score = np.array([*agreed, 0.99, 0.98, 0.0], np.float32)
    quadrant = np.array([TP] * len(agreed) + [FP, UNUSED, FN], np.uint8)
    assert sure_score(score, quadrant) == pytest.approx(expected)


def test_an_fp_is_disputed_when_its_map_is_surer_than_the_limit_and_nobody_has_judged_it() -> None:
    score = np.array([0.5, 0.50001, 0.9, 0.9, 0.9, 0.9], np.float32)
    quadrant = np.array([FP, FP, FP, TP, UNUSED, FN], np.uint8)
    judged = np.array([False, False, True, False, False, False])
    found = disputed(score, quadrant, limit=0.5, judged=judged)
    assert found.tolist() == [False, True, False, False, False, False]


def test_without_tp_nothing_is_disputed() -> None:
    score, quadrant = np.ones(2, np.float32), np.array([FP, FP], np.uint8)
    limit = sure_score(score, quadrant)
    assert limit == np.inf
    assert not disputed(score, quadrant, limit=limit, judged=np.zeros(2, bool)).any()
