import pytest

from system.training.patience import best_epoch, has_stopped_rising

NAN = float("nan")


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ([0.3], 1),
        ([0.1, 0.4, 0.2], 2),
        ([0.1, 0.4, 0.4], 2),  # the first of equals
        ([0.0, 0.0], 1),
        ([NAN, 0.2, NAN], 2),
        ([NAN, NAN, NAN], 3),  # none was measured: the last
        ([], 0),
    ],
)
def test_the_best_epoch_is_the_first_of_the_highest_counted_from_1(values: list[float], expected: int) -> None:
    assert best_epoch(values) == expected


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ([], False),
        ([0.3], False),
        ([0.3, 0.2], False),
        ([0.3, 0.2, 0.1], True),
        ([0.3, 0.3, 0.3], True),  # to reach it again is no rise
        ([0.3, 0.2, 0.4], False),
        ([0.3, 0.2, 0.4, 0.1, 0.4], True),
        ([0.3, NAN, NAN], True),
        ([NAN, NAN, NAN], False),  # without a lesion nothing can rise
    ],
)
def test_training_has_stopped_rising_after_two_epochs_without_a_higher_value(
    values: list[float], expected: bool
) -> None:
    assert has_stopped_rising(values, patience_epochs=2) is expected


def test_without_patience_no_training_has_stopped_rising() -> None:
    assert not has_stopped_rising([0.5, 0.1, 0.1, 0.1], patience_epochs=0)
