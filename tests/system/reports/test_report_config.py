"""Which settings are the paper's, and which ours."""

import pytest
from pydantic import ValidationError

from system.reports import ReportConfig

OURS = {"mirrored": True, "validation_share": 0.1, "max_tokens": 256, "calibrated": True, "pooler": True}
PAPER = {"mirrored": False, "validation_share": 0.0, "max_tokens": 512, "calibrated": False, "pooler": False}


def test_the_defaults_are_the_paper_and_our_changes_a_method_of_their_own() -> None:
    paper, ours = ReportConfig(), ReportConfig.recommended()
    assert paper.model_dump() == ours.model_dump() | PAPER
    assert ours.model_dump() == paper.model_dump() | OURS


@pytest.mark.parametrize("key", OURS)
def test_each_of_our_changes_can_be_set_back_alone(key: str) -> None:
    changed = ReportConfig.recommended(**{key: PAPER[key]})
    assert changed.model_dump() == ReportConfig().model_dump() | OURS | {key: PAPER[key]}


def test_a_length_at_which_no_description_would_be_left_is_refused() -> None:
    with pytest.raises(ValidationError, match="max_tokens"):
        ReportConfig(max_tokens=15)
