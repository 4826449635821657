"""An epoch as a line for people, and as a line of JSON."""

import json
import math
from dataclasses import replace

import pytest
from pydantic import TypeAdapter

from system.training.epoch_row import EpochRow
from tests.epoch_rows import epoch_row

ROW = epoch_row(
    losses={"total": 0.5, "mask_strong": 0.25},
    gradient_norm=1.5,
    images_per_s=62.4,
    wait_share=0.01,
    num_epochs=3,
    p0=0.85,
    samples={"STRONG_MASS": 10, "TP": 0, "FN": 3},
    places={"STRONG_MASS": 1.5, "TP": 0.0, "FN": 0.1234},
)


def test_a_line_has_p0_steps_losses_pace_and_the_roles_that_occur_with_their_places() -> None:
    assert ROW.line("round 1") == (
        "round 1  epoch 1/3  p0 0.85  4 steps  loss total 0.5000  mask_strong 0.2500  "
        "rate 1.0e-03  |grad| 1.50  62 images/s (wait 1%)  STRONG_MASS 10 (1.5 a batch)  FN 3 (0.123 a batch)"
    )


def test_a_line_has_the_mean_sensitivity_on_validation_where_it_was_measured() -> None:
    assert "  4 steps  validation 0.613  loss" in replace(ROW, validation=0.6125001).line("round 1")
    assert "validation" not in ROW.line("round 1")


def test_stage_1_has_no_p0_and_a_gpu_its_memory() -> None:
    line = replace(ROW, p0=0.0, gpu_memory_bytes=3 * 2**30).line("stage 1")
    assert "p0" not in line
    assert "(wait 1%)  3.0 GiB" in line


@pytest.mark.parametrize(("validation", "in_json"), [(float("nan"), None), (0.5, 0.5)])
def test_what_was_not_measured_is_null_in_json_and_comes_back(validation: float, in_json: float | None) -> None:
    adapter = TypeAdapter(EpochRow)
    text = adapter.dump_json(replace(ROW, validation=validation)).decode()
    assert json.loads(text, parse_constant=pytest.fail)["validation"] == in_json
    assert adapter.validate_json(text).validation == pytest.approx(validation, nan_ok=True)
    assert math.isnan(validation) == (in_json is None)
