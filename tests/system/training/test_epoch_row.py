"""An epoch as a line for people."""

from dataclasses import replace

from system.training.epoch_row import EpochRow

ROW = EpochRow(
    losses={"total": 0.5, "mask_strong": 0.25},
    learning_rate=1e-3,
    gradient_norm=1.5,
    images_per_s=62.4,
    wait_share=0.01,
    num_steps=4,
    bad_steps=0,
    gpu_memory_bytes=0,
    epoch=1,
    num_epochs=3,
    p0=0.85,
    samples={"STRONG_MASS": 10, "WEAK_TP": 0},
    workers=1,
    resumed_at_step=0,
)


def test_a_line_has_p0_losses_pace_and_the_roles_that_occur() -> None:
    assert ROW.line("round 1") == (
        "round 1  epoch 1/3  p0 0.85  loss total 0.5000  mask_strong 0.2500  "
        "rate 1.0e-03  |grad| 1.50  62 images/s (wait 1%)  STRONG_MASS 10"
    )


def test_stage_1_has_no_p0_and_a_gpu_its_memory() -> None:
    line = replace(ROW, p0=0.0, gpu_memory_bytes=3 * 2**30).line("stage 1")
    assert "p0" not in line
    assert "(wait 1%)  3.0 GiB" in line
