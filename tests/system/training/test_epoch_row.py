"""An epoch as a line for people, and as a line of JSON."""

import json
import math
from dataclasses import replace

import pytest
from pydantic import TypeAdapter

from system.training.epoch_row import EpochRow
from tests.epoch_rows import epoch_row

ROW = epoch_row(
    losses={"total": 0.0046, "mask_strong": 0.00051, "class_strong": 0.0, "mask_weak": 0.0015, "class_weak": 0.787},
    gradient_norm=1.5,
    images_per_s=62.4,
    wait_share=0.01,
    num_epochs=3,
    p0=0.85,
    samples={"STRONG_MASS": 10, "STRONG_FREE": 22, "TP": 0, "FN": 3},
    places={"STRONG_MASS": 1.5, "TP": 0.0, "FN": 0.1234},
)


def test_a_line_has_the_losses_that_are_in_use_the_speed_and_the_images_that_teach() -> None:
    assert ROW.line("round 1") == (
        "round 1, epoch 1 of 3, p0 0.85: loss 0.0046 (mask_strong 0.00051, mask_weak 0.0015, class_weak 0.787), "
        "62 images/s, 10 annotated with a mass, 22 annotated without, 3 FN"
    )


def test_stage_1_has_no_p0_and_a_loss_alone_no_parts() -> None:
    line = replace(ROW, p0=0.0, losses={"total": 0.5}, samples={}).line("stage 1")
    assert line == "stage 1, epoch 1 of 3: loss 0.5000, 62 images/s"


def test_a_line_has_the_mean_sensitivity_on_validation_where_it_was_measured() -> None:
    assert "), validation 0.613, 62" in replace(ROW, validation=0.6125001).line("round 1")
    assert "validation" not in ROW.line("round 1")


def test_what_went_wrong_or_slows_down_is_named() -> None:
    line = replace(ROW, bad_steps=1, wait_share=0.4, gpu_memory_bytes=3 * 2**30).line("round 1")
    assert "1 of 4 steps skipped, their loss was not finite" in line
    assert "62 images/s (40% of the time waiting for data), 3.0 GiB" in line


@pytest.mark.parametrize(("validation", "in_json"), [(float("nan"), None), (0.5, 0.5)])
def test_what_was_not_measured_is_null_in_json_and_comes_back(validation: float, in_json: float | None) -> None:
    adapter = TypeAdapter(EpochRow)
    text = adapter.dump_json(replace(ROW, validation=validation)).decode()
    assert json.loads(text, parse_constant=pytest.fail)["validation"] == in_json
    assert adapter.validate_json(text).validation == pytest.approx(validation, nan_ok=True)
    assert math.isnan(validation) == (in_json is None)
