"""What the rules' answers are worth as probabilities, so that they can stand in for the models' or beside them."""

from dataclasses import dataclass
from typing import Literal

import numpy as np

from system.records import Side
from system.reports.rules import read_by_rules
from system.reports.text import Sections

LabelSource = Literal["models", "rules", "mean"]


@dataclass(frozen=True, slots=True)
class RuleRates:
    """The probability of a mass that each answer of the rules stands for, 0 to 1."""

    found: float  # the report has a mass in this breast
    none: float  # it has none there
    silent: float  # it does not mention the breast

    def probability(self, answers: np.ndarray) -> np.ndarray:
        """Return the probability of each answer, [N] float32. answers: [N] 1 found, 0 none, NaN silent."""
        heard = np.where(answers == 1, self.found, self.none)
        return np.where(np.isnan(answers), self.silent, heard).astype(np.float32)


def fit_rule_rates(answers: np.ndarray, truth: np.ndarray) -> RuleRates:
    """Return the share of breasts with a mass among those of each answer, (masses + 1) / (breasts + 2).

    answers: [N] 1 found, 0 none, NaN silent, of annotated breasts
    truth: [N] 0 or 1

    The smoothing is that of the models' temperatures (Platt 1999, section 2.2): a few answers without a mistake do not
    give certainty, and an answer that no annotated breast has is worth 0.5.
    """

    def share(members: np.ndarray) -> float:
        return float((truth[members].sum() + 1) / (members.sum() + 2))

    return RuleRates(share(answers == 1), share(answers == 0), share(np.isnan(answers)))


def fit_rates_of_folds(
    answers: np.ndarray, truth: np.ndarray, folds: np.ndarray, *, num_folds: int
) -> tuple[RuleRates, list[RuleRates]]:
    """Return the rates for reports that come later, and for each fold those for its own annotated reports.

    answers, truth: as in fit_rule_rates
    folds: [N], the fold of the breast's report

    The rates of a fold are fitted on the other folds, so that no breast's own truth influences its probability.
    """
    others = [fit_rule_rates(answers[folds != fold], truth[folds != fold]) for fold in range(num_folds)]
    return fit_rule_rates(answers, truth), others


def rule_answers(reports: list[Sections]) -> dict[Side, np.ndarray]:
    """Return each side's answers, [N] float32: 1 found, 0 none, NaN silent."""
    read = [read_by_rules(report) for report in reports]
    return {side: np.array([answer[side] for answer in read], np.float32) for side in Side}


def rule_probabilities(
    answers: np.ndarray, folds: np.ndarray, *, later: RuleRates, held_out: list[RuleRates]
) -> np.ndarray:
    """Return the probability of each answer, [N] float32.

    answers: [N], as in fit_rule_rates
    folds: [N], the fold of the report it was read from, -1 = a report of no fold
    later, held_out: as fit_rates_of_folds returns them
    """
    p_rules = later.probability(answers)
    for fold, rates in enumerate(held_out):
        p_rules = np.where(folds == fold, rates.probability(answers), p_rules)
    return p_rules


def choose(labels: LabelSource, *, models: np.ndarray, rules: np.ndarray) -> np.ndarray:
    """Return the probabilities that the loop gets, [N] float32. models, rules: [N], 0 to 1."""
    match labels:
        case "models":
            return models
        case "rules":
            return rules
        case "mean":
            return ((models + rules) / 2).astype(np.float32)
