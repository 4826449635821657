import math

import numpy as np
import pytest

from system.reports.measures import measure


def test_table_2_is_as_worked_by_hand():
    truth = np.array([1, 1, 1, 0, 0, 0, 0, 0])
    p_mass = np.array([0.99, 0.8, 0.3, 0.6, 0.1, 0.02, 0.01, 0.2])
    found = measure(truth, p_mass)
    # said mass: 2 right, 1 wrong, 1 missed -> F1 = 4/6; said none: 4 right, 1 wrong, 1 missed -> F1 = 8/10
    assert found["average_f1"] == pytest.approx((2 / 3 + 0.8) / 2)
    assert found["weighted_f1"] == pytest.approx((3 * 2 / 3 + 5 * 0.8) / 8)
    assert found["accuracy"] == pytest.approx(6 / 8)
    assert found["auroc"] == pytest.approx(14 / 15)  # one of 15 pairs in the wrong order: 0.3 against 0.6


def test_coverage_counts_both_ends_and_precision_those_that_are_right():
    found = measure(np.array([1, 0, 0, 1]), np.array([0.96, 0.97, 0.04, 0.5]))
    assert found["coverage"]["0.95"] == pytest.approx(3 / 4)
    assert found["coverage_mass"]["0.95"] == pytest.approx(2 / 4)
    assert found["precision"]["0.95"] == pytest.approx(2 / 3)


def test_one_class_alone_has_no_auroc():
    assert math.isnan(measure(np.array([0, 0, 0]), np.array([0.1, 0.2, 0.3]))["auroc"])


def test_a_p0_that_nobody_reaches_has_no_precision():
    found = measure(np.array([1, 0]), np.array([0.8, 0.3]))
    assert found["coverage"]["0.95"] == 0
    assert found["precision"] == {"0.75": 1.0}
