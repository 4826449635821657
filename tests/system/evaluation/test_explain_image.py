"""The sentence that explains a candidate, and what a report counts as; the whole is tested in tests/pipelines/tools."""

import pytest

from system.evaluation.explain_image import why


@pytest.mark.parametrize(
    ("outcome", "nearest_lesion", "iou", "sentence"),
    [
        ("TP", 2, 0.4119, "finds lesion 2: IoU 0.412 is above 0.2"),
        ("duplicate", 0, 0.35, "IoU 0.350 with lesion 0, which another candidate had found"),
        ("FP", 1, 0.1534, "IoU 0.153 with lesion 1: a hit needs more than 0.2"),
        ("FP", 1, 0.2, "IoU 0.200 with lesion 1: a hit needs more than 0.2"),
        ("FP", -1, 0.0, "touches no lesion"),
    ],
)
def test_each_outcome_has_its_reason(outcome: str, nearest_lesion: int, iou: float, sentence: str) -> None:
    assert why(outcome, nearest_lesion=nearest_lesion, iou=iou, min_iou=0.2) == sentence


def test_the_limit_is_the_evaluations_own() -> None:
    assert why("TP", nearest_lesion=0, iou=0.6, min_iou=0.5) == "finds lesion 0: IoU 0.600 is above 0.5"
