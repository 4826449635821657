"""What the curves draw."""

from dataclasses import replace

from system.figures.curves import COLOURS, froc_figure, loss_figure
from system.figures.rows import FrocSeries, TrainingCurve
from system.training.epoch_row import EpochRow
from tests.epoch_rows import epoch_row


def row(epoch: int, **losses: float) -> EpochRow:
    return epoch_row(losses=losses, epoch=epoch, num_epochs=2)


def test_every_loss_term_that_is_not_zero_throughout_has_a_line_of_its_own() -> None:
    rows = [row(1, total=1.0, mask_strong=0.5, mask_weak=0.0), row(2, total=0.5, mask_strong=0.2, mask_weak=0.0)]
    drawn = loss_figure([TrainingCurve("supervised", rows)])
    alone = loss_figure([TrainingCurve("supervised", [row(1, total=1.0), row(2, total=0.5)])])
    assert drawn != alone
    same = [replace(one, losses={name: one.losses[name] for name in ("total", "mask_strong")}) for one in rows]
    assert drawn == loss_figure([TrainingCurve("supervised", same)])


def test_without_epochs_there_is_no_figure() -> None:
    assert loss_figure([TrainingCurve("supervised", [])]) == ""
    assert loss_figure([]) == ""


def test_an_early_end_is_marked_and_a_full_curve_is_not() -> None:
    ends, goes_on = (froc_figure([FrocSeries("one", [0.1, end], [0.2, 0.4])], fppi=[0.1, 1.0]) for end in (0.5, 2.0))
    assert ends.count("<use ") == goes_on.count("<use ") + 1  # one marker more: the cross


def test_systems_without_any_candidate_are_drawn_too() -> None:
    assert "<svg" in froc_figure([FrocSeries("silent", [], [])], fppi=[0.1, 1.0])


def test_rounds_have_colours_and_controls_are_gray_also_without_controls() -> None:
    point = ([0.1], [0.5])
    with_control, without = (
        froc_figure([FrocSeries(title, *point) for title in titles], fppi=[0.1, 1.0])
        for titles in (("supervised", "control 1", "round 1"), ("supervised", "round 1"))
    )
    first, control, round_1 = COLOURS[:3]
    assert first in with_control
    assert control in with_control
    assert round_1 in with_control
    assert (control in without, round_1 in without) == (False, True)


def test_the_legend_shows_the_marker_of_each_curve() -> None:
    one, two = (
        froc_figure([FrocSeries(f"round {number}", [0.1], [0.5]) for number in range(count)], fppi=[0.1])
        for count in (1, 2)
    )
    # A curve has a marker at its operating point, a cross at its end, and one in the legend; #m: not a letter's.
    assert two.count('href="#m') - one.count('href="#m') == 3
