"""What the curves draw."""

from system.figures.rows import FrocSeries
from system.figures.curves import froc_figure, loss_figure, loss_terms


def test_loss_terms_are_the_numbers_called_loss():
    rows = [
        {"stage": "stage 1", "epoch": 0, "loss": 1.0, "lr": 0.1},
        {"stage": "stage 1", "epoch": 1, "loss": 0.5, "L_seg_F": 0.1, "loss_name": "soft"},
    ]
    assert loss_terms(rows) == ["loss", "L_seg_F"]


def test_without_losses_there_is_no_figure():
    assert loss_figure([{"epoch": 0, "lr": 0.1}]) == ""
    assert loss_figure([]) == ""


def test_an_early_end_is_marked_and_a_full_curve_is_not():
    ends, goes_on = (froc_figure([FrocSeries("one", [0.1, end], [0.2, 0.4])], fppi=[0.1, 1.0]) for end in (0.5, 2.0))
    assert ends.count("<use ") == goes_on.count("<use ") + 1  # one marker more: the cross


def test_systems_without_any_candidate_are_drawn_too():
    assert "<svg" in froc_figure(
        [FrocSeries("silent", [], []), FrocSeries("silent", [], [], recut=True)], fppi=[0.1, 1.0]
    )
