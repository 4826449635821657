"""What is written and printed of a curve."""

import math

import numpy as np
import pytest

from system.metrics import FrocConfig, froc_curve, match, rules
from system.metrics.bootstrap import count_by_patient
from system.metrics.classification import auroc
from system.metrics.matching import gather
from system.metrics.summary import CurvePoints, points, summarise

IMAGES = [(np.array([0.9, 0.6]), np.array([[0.5], [0.0]])), (np.array([0.8, 0.7]), np.zeros((2, 0)))]
CONFIG = FrocConfig(bootstrap=50, fppi=(0.1, 1.0, 2.0))


def test_a_summary_names_the_points_that_the_curve_does_not_reach() -> None:
    detections = gather(IMAGES)
    matched = match(detections, iou=0.2)
    counts = count_by_patient(detections, matched, image_patient=["a", "b"], config=CONFIG)
    found = summarise(froc_curve(detections, matched, config=CONFIG), counts, config=CONFIG)
    assert found.sensitivity == {"0.1": 1.0, "1": 1.0, "2": 1.0}
    assert found.curve_ends_fppi == 1.5
    assert found.ends_before == ("2",)


def test_points_to_draw_are_where_the_sensitivity_changes_and_the_last() -> None:
    detections = gather(IMAGES)
    drawn = points(froc_curve(detections, match(detections, iou=0.2), config=CONFIG))
    assert drawn == CurvePoints(threshold=[0.9, 0.6], fppi=[0.0, 1.5], sensitivity=[1.0, 1.0])


def test_the_rules_name_the_settings() -> None:
    printed = " ".join(rules(FrocConfig(min_lesion_px=7, iou=0.3, duplicates="fp", seed=5)))
    for words in ("at least 7 px", "above 0.3", "count as false positives", "seed 5"):
        assert words in printed


def test_the_rules_say_that_no_threshold_was_chosen_for_own_peak_candidates() -> None:
    printed = " ".join(rules(FrocConfig(candidates="own_peak", candidate_threshold=0.123, min_candidate_px=9)))
    for words in ("at or above 0.5 of its own peak, of at least 9 px", "is a shoulder", "levels from 0.02 on"):
        assert words in printed
    assert "0.123" not in printed
    assert "levels from 0.123 on" in " ".join(rules(FrocConfig(candidate_threshold=0.123)))


def test_the_rules_say_that_candidates_are_parts_of_the_mask() -> None:
    printed = " ".join(rules(FrocConfig(regions="mask", candidate_threshold=0.123)))
    for words in (
        "component of the mask M_b",
        "what of the map lies within the mask is cut anew at 32 levels from 0.02",
    ):
        assert words in printed
    assert "0.123" not in printed


def test_own_peak_candidates_of_a_mask_are_refused() -> None:
    with pytest.raises(ValueError, match=r"set candidates=threshold, which regions=mask does not use, or regions=map"):
        FrocConfig(regions="mask", candidates="own_peak")


def test_auroc_counts_a_tie_as_half() -> None:
    assert auroc(np.array([True, True, False]), np.array([0.9, 0.5, 0.5])) == 0.75


@pytest.mark.parametrize("truth", [[True, True], [False, False]])
def test_auroc_of_one_class_is_nan(truth: list[bool]) -> None:
    assert math.isnan(auroc(np.array(truth), np.array([0.1, 0.2])))
