"""Which lesions are missed at an operating point, why, and which candidates are false."""

import numpy as np
import pyarrow as pa
import pytest

from system.evaluation.misses import (
    FalsePositive,
    OperatingPoint,
    false_positives,
    looked_at,
    missed_lesions,
    not_in,
    operating_point,
)
from system.evaluation.read_back import EvaluationTables
from system.metrics.matching import Detections, Match
from system.metrics.summary import CurvePoints
from system.schemas import CANDIDATES, IMAGES, LESIONS

CURVE = CurvePoints(threshold=[0.9, 0.6, 0.3, 0.1], fppi=[0.0, 0.2, 0.5, 1.5], sensitivity=[0.25, 0.5, 0.5, 0.75])
LESION_ROWS = [
    {"image_id": "a", "lesion": 0, "area_px": 100, "diameter_mm": 5.6},
    {"image_id": "a", "lesion": 1, "area_px": 400, "diameter_mm": 11.0},
    {"image_id": "b", "lesion": 0, "area_px": 300, "diameter_mm": 0.0},
    {"image_id": "c", "lesion": 0, "area_px": 200, "diameter_mm": 0.0},
    {"image_id": "d", "lesion": 0, "area_px": 90, "diameter_mm": 0.0},
    {"image_id": "d", "lesion": 1, "area_px": 80, "diameter_mm": 0.0},
]


def candidate(
    image_id: str, score: float, outcome: str, lesion: int, iou: float, x0: int = 0
) -> dict[str, float | str]:
    found = lesion if outcome != "FP" else -1
    return {
        "x0": x0,
        "y0": 0,
        "x1": x0 + 10,
        "y1": 10,
        "area_px": 80,
        "image_id": image_id,
        "score": score,
        "outcome": outcome,
        "lesion": found,
        "nearest_lesion": lesion,
        "iou": iou,
    }


CANDIDATE_ROWS = [
    candidate("a", 0.8, "TP", 0, 0.5),
    candidate("a", 0.7, "duplicate", 0, 0.3, x0=5),
    candidate("a", 0.2, "TP", 1, 0.4, x0=20),
    candidate("b", 0.65, "FP", 0, 0.15),
    candidate("b", 0.62, "FP", 0, 0.05, x0=30),
    candidate("c", 0.5, "FP", -1, 0.0),
    candidate("d", 0.9, "TP", 0, 0.4),  # may well lie on the other lesion too
]


@pytest.fixture
def kept() -> EvaluationTables:
    nothing = np.empty(0, dtype=np.int64)
    none = Detections(3, np.empty(0), nothing, nothing, nothing, nothing, np.empty(0))
    return EvaluationTables(
        images=pa.Table.from_pylist([], schema=IMAGES),
        lesions=pa.Table.from_pylist(LESION_ROWS, schema=LESIONS),
        candidates=pa.Table.from_pylist(CANDIDATE_ROWS, schema=CANDIDATES),
        detections=none,
        matched=Match(np.empty(0, np.uint8), nothing, nothing, np.empty(0)),
    )


def test_missed_lesions_come_largest_first_each_with_its_reason(kept: EvaluationTables) -> None:
    found = missed_lesions(kept, threshold=0.6, min_iou=0.2)
    assert [(each.image_id, each.lesion, each.why) for each in found] == [
        ("a", 1, "found only below the point's score: 0.200, the point counts from 0.600 on"),
        ("b", 0, "nearest candidate of score 0.650: IoU 0.15, a hit needs more than 0.2"),
        ("c", 0, "no candidate touches it"),
        ("d", 1, "no candidate overlaps it more than another lesion"),
    ]


def test_a_lower_point_misses_less(kept: EvaluationTables) -> None:
    assert [each.image_id for each in missed_lesions(kept, threshold=0.1, min_iou=0.2)] == ["b", "c", "d"]


def test_without_any_counted_candidate_every_lesion_is_missed(kept: EvaluationTables) -> None:
    assert len(missed_lesions(kept, threshold=float("inf"), min_iou=0.2)) == len(LESION_ROWS)


def test_false_positives_are_those_that_count_the_surest_first(kept: EvaluationTables) -> None:
    found = false_positives(kept, threshold=0.6, with_duplicates=False)
    assert [(each.image_id, each.score) for each in found] == [("b", 0.65), ("b", 0.62)]
    with_duplicates = false_positives(kept, threshold=0.6, with_duplicates=True)
    assert [each.score for each in with_duplicates] == [0.7, 0.65, 0.62]


def test_a_false_positive_is_new_where_the_other_system_has_none_in_its_place() -> None:
    before = [FalsePositive("b", (0, 0, 10, 10), 0.9)]
    after = [
        FalsePositive("b", (9, 9, 20, 20), 0.8),  # overlaps by a pixel
        FalsePositive("b", (10, 0, 20, 10), 0.7),  # touches
        FalsePositive("c", (0, 0, 10, 10), 0.6),  # another image
    ]
    assert [each.score for each in not_in(after, before)] == [0.7, 0.6]


@pytest.mark.parametrize(
    ("fppi", "expected"),
    [
        (0.5, OperatingPoint(0.5, 0.6, 0.2, 0.5)),  # of equal sensitivity the one with fewer false positives
        (0.1, OperatingPoint(0.1, 0.9, 0.0, 0.25)),
        (2.0, OperatingPoint(2.0, 0.1, 1.5, 0.75)),
    ],
)
def test_the_point_is_the_best_within_the_allowed_false_positives(fppi: float, expected: OperatingPoint) -> None:
    assert operating_point(CURVE, fppi=fppi) == expected


def test_a_curve_without_a_point_counts_no_candidate() -> None:
    point = operating_point(CurvePoints([0.9], [0.3], [0.5]), fppi=0.1)
    assert (point.threshold, point.sensitivity) == (float("inf"), 0.0)


@pytest.mark.parametrize(
    ("fppi", "expected"), [((0.1, 0.2, 0.5, 1.0), 0.5), ((0.25, 0.75), 0.25), ((2.0, 1.0), 1.0), ((0.125,), 0.125)]
)
def test_the_errors_are_looked_at_where_false_positives_are_nearest_to_a_half(
    fppi: tuple[float, ...], expected: float
) -> None:
    assert looked_at(fppi) == expected
