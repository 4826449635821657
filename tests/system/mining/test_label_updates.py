from dataclasses import replace

import numpy as np
import pytest

from system.mining.label_updates import LabelUpdate, LabelUpdates, UpdateSource

NAN = float("nan")


def update(
    *rows: tuple[int, float, int],
    source: UpdateSource = UpdateSource.VERDICT,
    round_number: int = 1,
    masked: bool = False,
) -> LabelUpdate:
    """Rows of key, p_mass, order."""
    keys, p_mass, order = (np.array(column) for column in zip(*rows, strict=True)) if rows else (np.empty(0),) * 3
    flags = np.full(len(rows), masked)
    return LabelUpdate(
        source, round_number, keys.astype(np.int64), p_mass.astype(np.float32), order.astype(np.int64), flags
    )


def latest(*updates: LabelUpdate, round_number: int = 1) -> dict[int, float]:
    held = LabelUpdates()
    for one in updates:
        held.add(one)
    keys, p_mass = held.latest(round_number)
    return dict(zip(keys.tolist(), p_mass.tolist(), strict=True))


def test_what_was_said_last_counts_and_not_what_arrived_last() -> None:
    early, late = update((7, 1.0, 10)), update((7, 0.0, 20))
    assert latest(early, late) == latest(late, early) == {7: 0.0}


def test_updates_count_from_their_round_on() -> None:
    first, second = update((7, 1.0, 10)), update((7, 0.0, 20), (8, 1.0, 5), round_number=2)
    assert latest(first, second, round_number=1) == {7: 1.0}
    assert latest(first, second, round_number=2) == {7: 0.0, 8: 1.0}
    assert latest(first, second, round_number=9) == {7: 0.0, 8: 1.0}


def test_an_old_update_that_comes_rounds_later_does_not_count() -> None:
    latest_said, latest_heard = update((7, 1.0, 20)), update((7, 0.0, 10), round_number=2)
    assert latest(latest_said, latest_heard, round_number=2) == {7: 1.0}


def test_nothing_and_unsure_are_no_probability() -> None:
    assert np.isnan(latest(update((7, NAN, 10)))[7])
    assert np.isnan(latest(update((7, 0.9, 10)), update((7, NAN, 20)))[7])
    assert latest(update((7, NAN, 10)), update((7, 0.9, 20)))[7] == pytest.approx(0.9)


def test_a_verdict_with_a_mask_takes_its_image_out() -> None:
    assert np.isnan(latest(update((7, 1.0, 10), masked=True))[7])


def test_a_repeat_is_no_news() -> None:
    held, one = LabelUpdates(), update((7, NAN, 10), (8, 1.0, 10))
    assert held.would_change(one)
    held.add(one)
    assert not held.would_change(one)
    assert not held.would_change(update((8, 1.0, 10)))
    assert held.would_change(update((8, 1.0, 11)))


@pytest.mark.parametrize(
    ("one", "text"),
    [
        (update((7, 1.5, 1)), "a verdict has p_mass 1.5: it must be a probability, or NaN"),
        (update((7, 0.5, 1), round_number=0), "rounds count from 1, got 0"),
        (update((7, 0.5, 1), source=UpdateSource.LABEL, masked=True), "only a verdict can carry a mask"),
        (
            replace(update((7, 0.5, 1)), keys=np.zeros(2, np.int64)),
            "a label update needs int64, float32, int64, bool columns of one length",
        ),
    ],
)
def test_what_makes_no_sense_is_refused(one: LabelUpdate, text: str) -> None:
    with pytest.raises(ValueError, match=text):
        LabelUpdates().add(one)
