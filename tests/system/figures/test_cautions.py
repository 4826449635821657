"""What a reader of the page is warned of, and what not."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest

from system.figures.cautions import data_cautions, label_cautions, pool_cautions, purity_cautions
from system.figures.rows import PoolRow, PurityRow, SplitRow
from system.reports.measures import LabelMeasures, SideMeasures, measure

TRUTH = np.array([0, 0, 0, 0, 1, 1, 1, 1])
GOOD = measure(TRUTH, np.array([0.1, 0.1, 0.1, 0.1, 0.9, 0.9, 0.9, 0.9]))
POOR = measure(TRUTH, np.array([0.4, 0.4, 0.6, 0.4, 0.6, 0.6, 0.6, 0.4]))


def side(
    models: LabelMeasures = GOOD, rules: LabelMeasures = POOR, uncalibrated: LabelMeasures | None = None
) -> SideMeasures:
    return SideMeasures(models, uncalibrated or models, rules, models, 0, {})


def sentences(found: object) -> list[str]:
    return [each.sentence for each in found]  # type: ignore[attr-defined]


def test_models_that_are_better_than_rules_are_not_warned_of() -> None:
    assert not list(label_cautions({"left": side(), "right": side()}, labels="models"))


def test_rules_that_beat_the_models_are_named_with_the_setting_and_both_numbers() -> None:
    found = list(label_cautions({"left": side(POOR, GOOD), "right": side(POOR, GOOD)}, labels="models"))
    fits, beats = sentences(found)
    assert "reports.labels=rules" in fits
    assert f"{POOR.brier:.4f}" in fits
    assert f"left F1 {GOOD.average_f1:.3f} against {POOR.average_f1:.3f}; right F1" in beats
    assert {each.about for each in found} == {"labels"}


def test_rules_that_beat_the_models_are_no_matter_where_the_loop_gets_the_rules() -> None:
    assert not list(label_cautions({"left": side(POOR, GOOD)}, labels="rules"))


def test_calibration_that_did_harm_is_named_on_its_side_alone() -> None:
    worse = replace(GOOD, ece=0.116)
    sides = {"left": side(worse, uncalibrated=replace(GOOD, ece=0.084)), "right": side()}
    assert sentences(label_cautions(sides, labels="models")) == [
        "Calibration made the models' probabilities worse: left ECE 0.084 before, 0.116 after."
    ]


def test_calibration_that_helped_is_not_warned_of() -> None:
    sides = {"left": side(replace(GOOD, ece=0.05), uncalibrated=replace(GOOD, ece=0.084))}
    assert not list(label_cautions(sides, labels="models"))


def pool(number: int, p0: float, sizes: Sequence[int]) -> PoolRow:
    return PoolRow(number, p0, *sizes, tn=9, unused=9)


@pytest.mark.parametrize(
    ("rows", "expected"),
    [
        ([pool(1, 0.95, (0, 0, 0)), pool(1, 0.85, (0, 0, 0))], "Round 1 learned from no image"),
        (
            [pool(1, 0.95, (5, 0, 1)), pool(2, 0.95, (0, 4, 2)), pool(2, 0.85, (3, 4, 2))],
            "Round 2 had no image in TP at p0 0.95:",
        ),
    ],
)
def test_empty_pools_are_named(rows: list[PoolRow], expected: str) -> None:
    (found,) = sentences(pool_cautions(rows))
    assert found.startswith(expected)


def test_a_round_whose_pools_are_filled_is_not_warned_of() -> None:
    assert not list(pool_cautions([pool(1, 0.95, (1, 0, 0)), pool(1, 0.85, (9, 3, 2))]))
    assert not list(pool_cautions([]))


def test_of_impure_pools_the_worst_of_each_quadrant_is_named() -> None:
    rows = [
        PurityRow(1, 0.95, "TP", 40, 0.9),
        PurityRow(1, 0.95, "FN", 40, 0.7),
        PurityRow(2, 0.85, "FN", 50, 0.61),
        PurityRow(2, 0.85, "FP", 9, 0.1),  # too few to warn of
    ]
    assert sentences(purity_cautions(rows)) == [
        (
            "A pool is impure: of FN in round 2 at p0 0.85 only 0.610 is right (of 50 images whose truth is known), "
            "and 1 more of FN."
        )
    ]


def test_few_lesions_are_named_with_what_one_of_them_moves() -> None:
    nan = float("nan")
    rows = [
        SplitRow("strong", 3, 9, 1.0),
        SplitRow("weak", 3, 9, nan),
        SplitRow("validation", 3, 9, 0.0),
        SplitRow("test", 3, 9, 8.0),
    ]
    nothing, few = sentences(data_cautions(rows))
    assert nothing.startswith("The validation images show no lesion")
    assert few == "The test images show 8 lesions: one more or less moves a sensitivity by 0.125."
    assert not list(data_cautions([SplitRow("test", 30, 90, 20.0)]))
