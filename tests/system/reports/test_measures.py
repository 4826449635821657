import math

import numpy as np
import pyarrow as pa
import pytest

from system.reports.measures import SideMeasures, Tenth, compare_sources, measure, measure_side, reliability
from system.reports.rule_rates import LabelSource


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
        "p_models": [0.9, 0.1, 0.4, 0.2],
        "p_raw": [1.0, 0.0, 0.4, 0.2],
        "rules": [1.0, 0.0, math.nan, 0.0],
        "p_rules": [0.9, 0.1, 0.5, 0.1],
    }
    found = measure_side(pa.table(columns | {"language": ["zh", "zh", "en", "en"]}))
    assert found.models.accuracy == 3 / 4
    assert found.by_language["zh"].accuracy == 1
    assert found.by_language["en"].accuracy == 1 / 2
    assert found.rules.accuracy == 3 / 4
    assert found.num_silent == 1
    assert found.mean.brier == pytest.approx((0.1**2 + 0.1**2 + 0.55**2 + 0.15**2) / 4)
    assert found.uncalibrated.ece == pytest.approx((0 + 0.6 + 0.2 + 0) / 4)


def side_of(num_breasts: int, *, models: float, rules: float) -> SideMeasures:
    """Return the measures of breasts with a mass that get these probabilities."""
    columns = {"p_models": models, "p_raw": models, "p_rules": rules, "rules": 1.0, "truth": 1, "language": "en"}
    return measure_side(pa.table({name: [value] * num_breasts for name, value in columns.items()}))


def test_models_rules_and_mean_are_compared_by_the_brier_score_over_the_breasts_of_both_sides() -> None:
    sides = {"left": side_of(1, models=0.5, rules=1.0), "right": side_of(3, models=0.7, rules=0.9)}
    found = compare_sources(sides, labels="models")
    assert found.brier == pytest.approx(
        {"models": (0.25 + 3 * 0.09) / 4, "rules": 3 * 0.01 / 4, "mean": (0.0625 + 3 * 0.04) / 4}
    )
    assert found.best == "rules"
    assert found.line() == (
        "The loop gets the labels of reports.labels=models. Brier score over 4 annotated breasts, held out: models "
        "0.1300, rules 0.0075, mean 0.0456; reports.labels=rules would fit better"
    )


@pytest.mark.parametrize("labels", ["models", "rules", "mean"])
def test_where_all_fit_alike_none_is_better_than_the_one_in_use(labels: LabelSource) -> None:
    found = compare_sources({"left": side_of(2, models=0.9, rules=0.9)}, labels=labels)
    assert found.best == labels
    assert found.line().endswith("no other fits better")
