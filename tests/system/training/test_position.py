"""Where a training stands, and what an epoch has come to."""

from system.training.checkpoint import TrainingPosition
from system.training.tally import Tally

BEGUN = TrainingPosition(epoch=2, step=40, bad_steps=1)
GOOD = Tally().with_good({"total": 2.0}, gradient_norm=0.5)


def test_steps_in_an_epoch_count_until_it_begins_again() -> None:
    inside = BEGUN.in_epoch(GOOD.with_bad())
    assert (inside.step, inside.bad_steps, inside.steps_in_epoch) == (42, 2, 2)
    assert inside.between_epochs() == BEGUN == BEGUN.between_epochs()


def test_after_an_epoch_its_steps_are_taken() -> None:
    assert BEGUN.after_epoch(num_steps=20, bad_steps=3) == TrainingPosition(epoch=3, step=60, bad_steps=4)


def test_a_skipped_step_counts_for_no_loss() -> None:
    tally = GOOD.with_bad().with_bad().with_good({"total": 1.0, "mask": 4.0}, gradient_norm=1.5)
    assert (tally.losses, tally.gradient_norm) == ({"total": 3.0, "mask": 4.0}, 2.0)
    assert (tally.good, tally.bad, tally.bad_in_a_row, tally.steps) == (2, 2, 0, 4)
    assert GOOD.with_bad().with_bad().bad_in_a_row == 2


def test_images_and_times_add_up() -> None:
    tally = Tally().with_work(images=4, wait_s=0.5, duration_s=2.0).with_work(images=3, wait_s=0.25, duration_s=1.0)
    assert (tally.images, tally.wait_s, tally.duration_s) == (7, 0.75, 3.0)
