import numpy as np
import pytest

from system.reports.calibration import fit_temperature, fit_temperatures, probability


def test_margins_three_times_too_large_get_the_temperature_three() -> None:
    rng = np.random.default_rng(0)
    calibrated = rng.normal(0, 2, 20_000)
    truth = rng.random(20_000) < 1 / (1 + np.exp(-calibrated))
    assert fit_temperature(3 * calibrated, truth) == pytest.approx(3, rel=0.05)


def test_probability_is_the_sigmoid_of_the_divided_margin() -> None:
    # 1 / (1 + e^-1) = 0.731059
    assert probability(np.array([2.0, 0.0, -2.0]), 2.0) == pytest.approx([0.731059, 0.5, 0.268941], abs=1e-6)


def test_four_margins_without_a_mistake_do_not_give_certainty() -> None:
    margins = np.array([3.0, 4.0, -3.0, -4.0])
    p_mass = probability(margins, fit_temperature(margins, np.array([1, 1, 0, 0])))
    assert 0.6 < p_mass[0] < p_mass[1] < 0.85  # (2 + 1) / (2 + 2) on average


def test_each_model_gets_a_temperature_of_its_own_and_its_held_out_reports_that_of_the_others() -> None:
    rng = np.random.default_rng(1)
    calibrated = rng.normal(0, 2, 60_000)
    truth = rng.random(60_000) < 1 / (1 + np.exp(-calibrated))
    folds = np.arange(60_000) % 2
    later, held_out = fit_temperatures(calibrated * np.where(folds == 0, 2, 4), truth, folds, num_folds=2)
    assert later == pytest.approx([2, 4], rel=0.05)
    assert held_out == pytest.approx([4, 2], rel=0.05)
