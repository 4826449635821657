import math

import numpy as np
import pyarrow as pa
import pytest

from system.reports.measures import Tenth, measure, measure_side, reliability


def test_the_measures_of_table_2_are_as_worked_by_hand() -> None:
    truth = np.array([1, 1, 1, 0, 0, 0, 0, 0])
    p_mass = np.array([0.99, 0.8, 0.3, 0.6, 0.1, 0.02, 0.01, 0.2])
    found = measure(truth, p_mass)
    # mass: 2 right, 1 wrong, 1 missed -> F1 = 4/6; none: 4 right, 1 wrong, 1 missed -> F1 = 8/10
    assert found.average_f1 == pytest.approx((2 / 3 + 0.8) / 2)
    assert found.weighted_f1 == pytest.approx((3 * 2 / 3 + 5 * 0.8) / 8)
    assert found.accuracy == pytest.approx(6 / 8)
    assert found.auroc == pytest.approx(14 / 15)  # one of 15 pairs in the wrong order: 0.3 against 0.6


def test_coverage_counts_both_ends_and_precision_those_that_are_right() -> None:
    found = measure(np.array([1, 0, 0, 1]), np.array([0.96, 0.97, 0.04, 0.5]))
    assert found.coverage["0.95"] == pytest.approx(3 / 4)
    assert found.coverage_mass["0.95"] == pytest.approx(2 / 4)
    assert found.precision["0.95"] == pytest.approx(2 / 3)


def test_one_class_alone_has_no_auroc() -> None:
    assert math.isnan(measure(np.array([0, 0, 0]), np.array([0.1, 0.2, 0.3])).auroc)


def test_a_p0_that_no_breast_reaches_has_no_precision() -> None:
    found = measure(np.array([1, 0]), np.array([0.8, 0.3]))
    assert found.coverage["0.95"] == 0
    assert found.precision == {"0.75": 1.0}


def test_the_calibration_error_is_as_worked_by_hand() -> None:
    truth, p_mass = np.array([1, 0, 1, 0]), np.array([0.92, 0.98, 0.31, 0.39])
    # tenths: 0.9 to 1 has a mean of 0.95 and a share of 0.5; 0.3 to 0.4 has 0.35 and 0.5
    low, high = reliability(truth, p_mass)
    assert (low.count, low.p_mass, low.share) == (2, pytest.approx(0.35), 0.5)
    assert (high.count, high.p_mass, high.share) == (2, pytest.approx(0.95), 0.5)
    assert measure(truth, p_mass).ece == pytest.approx((0.15 + 0.45) / 2)


def test_a_probability_of_1_falls_into_the_last_tenth() -> None:
    assert reliability(np.array([1]), np.array([1.0])) == (Tenth(count=1, p_mass=1.0, share=1.0),)


def test_a_side_has_the_measures_of_the_rules_and_of_each_language_beside_the_models() -> None:
    columns = {
        "truth": [1, 0, 1, 0],
        "p_mass": [0.9, 0.1, 0.4, 0.2],
        "p_raw": [1.0, 0.0, 0.4, 0.2],
        "p_rules": [1.0, 0.0, math.nan, 0.0],
    }
    found = measure_side(pa.table(columns | {"language": ["zh", "zh", "en", "en"]}))
    assert found.models.accuracy == 3 / 4
    assert found.by_language["zh"].accuracy == 1
    assert found.by_language["en"].accuracy == 1 / 2
    assert found.rules.accuracy == 3 / 4  # a report in which the rules find nothing counts as no mass
    assert found.num_silent == 1
    assert found.uncalibrated.ece == pytest.approx((0 + 0.6 + 0.2 + 0) / 4)
