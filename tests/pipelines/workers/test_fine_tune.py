"""What the card of the fine-tuned models holds; no Ray."""

import numpy as np
import pytest

from pipelines.workers.fine_tune import _card
from system.reports import ReportConfig
from system.reports.annotated import NO_FOLD, UNKNOWN, TrainingReports
from system.reports.text import Sections

NUM = 60
TRUTH = np.tile(np.array([[1, 0], [0, 1], [0, 0]], np.int8), (NUM // 3, 1))
MASS_LEFT, MASS_RIGHT = Sections("左乳肿块。右乳未见肿块。", ""), Sections("右乳肿块。左乳未见肿块。", "")
REPORTS = [MASS_LEFT, MASS_RIGHT, Sections("左乳未见肿块。", "")] * (NUM // 3)
TRAINING = TrainingReports(TRUTH, (np.arange(NUM) // 3 % 3).astype(np.int8), np.arange(NUM).astype(str))
MARGINS = np.where(TRUTH == 1, 0.2, -0.2).astype(np.float32)  # always right, and far too unsure


@pytest.mark.parametrize("calibrated", [True, False])
def test_the_models_margins_are_divided_by_a_temperature_only_where_that_is_asked_for(calibrated: bool) -> None:
    card = _card(REPORTS, TRAINING, MARGINS, ReportConfig.recommended(calibrated=calibrated))
    for temperatures in (*card.temperatures.values(), *card.held_out_temperatures.values()):
        assert len(temperatures) == 3
        assert max(temperatures) < 0.2 if calibrated else temperatures == [1.0, 1.0, 1.0]


def test_the_rules_answers_are_worth_what_the_annotated_breasts_of_both_sides_show() -> None:
    card = _card(REPORTS, TRAINING, MARGINS, ReportConfig(labels="rules"))
    # of 120 breasts 40 are found, 60 denied, and 20 right ones not mentioned
    assert card.labels == "rules"
    assert card.rules.found == pytest.approx(41 / 42)
    assert card.rules.none == pytest.approx(1 / 62)
    assert card.rules.silent == pytest.approx(1 / 22)
    assert len(card.held_out_rules) == 3


def test_a_breast_of_unknown_truth_and_a_report_of_no_fold_do_not_count_for_the_rules() -> None:
    truth, folds = TRUTH.copy(), TRAINING.folds.copy()
    truth[0, 0] = UNKNOWN  # a mass that the rules find
    folds[1] = NO_FOLD  # one mass found, one denied
    card = _card(REPORTS, TrainingReports(truth, folds, TRAINING.patients), MARGINS, ReportConfig())
    assert card.rules.found == pytest.approx(39 / 40)
    assert card.rules.none == pytest.approx(1 / 61)
