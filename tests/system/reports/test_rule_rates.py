import math

import numpy as np
import pytest

from system.records import Side
from system.reports.rule_rates import (
    RuleRates,
    choose,
    fit_rates_of_folds,
    fit_rule_rates,
    rule_answers,
    rule_probabilities,
)
from system.reports.text import Sections

NAN = math.nan
RATES = RuleRates(found=0.9, none=0.1, silent=0.4)


def test_an_answer_is_worth_the_smoothed_share_of_its_breasts_with_a_mass() -> None:
    answers = np.array([1, 1, 1, 0, 0, 0, 0, NAN, NAN])
    truth = np.array([1, 1, 0, 0, 0, 0, 0, 1, 0])
    found = fit_rule_rates(answers, truth)
    assert (found.found, found.none, found.silent) == pytest.approx((3 / 5, 1 / 6, 2 / 4))


def test_an_answer_that_no_breast_has_is_worth_one_half() -> None:
    assert fit_rule_rates(np.array([1.0]), np.array([1])).silent == 0.5


def test_the_rates_of_a_fold_know_nothing_of_its_own_breasts() -> None:
    answers, folds = np.array([1.0, 1.0, 1.0, 1.0]), np.array([0, 0, 1, 1])
    later, of_folds = fit_rates_of_folds(answers, np.array([1, 1, 0, 0]), folds, num_folds=2)
    assert later.found == 3 / 6
    assert [rates.found for rates in of_folds] == [1 / 4, 3 / 4]


def test_reports_of_a_fold_get_its_rates_and_others_the_rates_of_all() -> None:
    of_folds = [RuleRates(0.8, 0.2, 0.5), RuleRates(0.7, 0.3, 0.6)]
    answers, folds = np.array([1, 1, 1, 0, NAN]), np.array([-1, 0, 1, 1, -1])
    found = rule_probabilities(answers, folds, later=RATES, held_out=of_folds)
    assert found == pytest.approx([0.9, 0.8, 0.7, 0.3, 0.4])
    assert found.dtype == np.float32


def test_answers_are_those_of_the_rules_by_side() -> None:
    found = rule_answers([Sections("左乳肿块。", ""), Sections("右乳未见肿块。", "")])
    assert found[Side.LEFT] == pytest.approx([1, NAN], nan_ok=True)
    assert found[Side.RIGHT] == pytest.approx([NAN, 0], nan_ok=True)


def test_the_loop_gets_the_models_the_rules_or_their_mean() -> None:
    both = {"models": np.array([0.8], np.float32), "rules": np.array([0.2], np.float32)}
    assert choose("models", **both) == pytest.approx(0.8)
    assert choose("rules", **both) == pytest.approx(0.2)
    assert choose("mean", **both) == pytest.approx(0.5)
