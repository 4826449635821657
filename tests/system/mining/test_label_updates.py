from dataclasses import replace

import numpy as np
import pytest

from system.mining.label_updates import LabelUpdate, LabelUpdates, UpdateSource

NAN = float("nan")


def words(
    *rows: tuple[int, float, int],
    kind: UpdateSource = UpdateSource.VERDICT,
    round_number: int = 1,
    masked: bool = False,
) -> LabelUpdate:
    """Rows of key, y, order."""
    keys, y, order = (np.array(column) for column in zip(*rows, strict=True)) if rows else (np.empty(0),) * 3
    flags = np.full(len(rows), masked)
    return LabelUpdate(kind, round_number, keys.astype(np.int64), y.astype(np.float32), order.astype(np.int64), flags)


def last(*messages: LabelUpdate, round_number: int = 1) -> dict[int, float]:
    held = LabelUpdates()
    for message in messages:
        held.add(message)
    keys, y = held.last(round_number)
    return dict(zip(keys.tolist(), y.tolist(), strict=True))


def test_what_was_said_last_counts_and_not_what_arrived_last() -> None:
    early, late = words((7, 1.0, 10)), words((7, 0.0, 20))
    assert last(early, late) == last(late, early) == {7: 0.0}


def test_words_count_from_their_round_on() -> None:
    first, second = words((7, 1.0, 10)), words((7, 0.0, 20), (8, 1.0, 5), round_number=2)
    assert last(first, second, round_number=1) == {7: 1.0}
    assert last(first, second, round_number=2) == {7: 0.0, 8: 1.0}
    assert last(first, second, round_number=9) == {7: 0.0, 8: 1.0}


def test_an_old_word_that_comes_rounds_later_does_not_count() -> None:
    said_last, heard_last = words((7, 1.0, 20)), words((7, 0.0, 10), round_number=2)
    assert last(said_last, heard_last, round_number=2) == {7: 1.0}


def test_nothing_and_unsure_are_no_probability() -> None:
    assert np.isnan(last(words((7, NAN, 10)))[7])
    assert np.isnan(last(words((7, 0.9, 10)), words((7, NAN, 20)))[7])
    assert last(words((7, NAN, 10)), words((7, 0.9, 20)))[7] == pytest.approx(0.9)


def test_a_verdict_with_a_mask_takes_its_image_out() -> None:
    assert np.isnan(last(words((7, 1.0, 10), masked=True))[7])


def test_a_repeat_is_no_news() -> None:
    held, message = LabelUpdates(), words((7, NAN, 10), (8, 1.0, 10))
    assert held.wants(message)
    held.add(message)
    assert not held.wants(message)
    assert not held.wants(words((8, 1.0, 10)))
    assert held.wants(words((8, 1.0, 11)))


@pytest.mark.parametrize(
    ("message", "text"),
    [
        (words((7, 1.5, 1)), "a verdict says 1.5: y is a probability, or NaN"),
        (words((7, 0.5, 1), round_number=0), "rounds count from 1, got 0"),
        (words((7, 0.5, 1), kind=UpdateSource.LABEL, masked=True), "only a verdict can carry a mask"),
        (
            replace(words((7, 0.5, 1)), keys=np.zeros(2, np.int64)),
            "later words need int64, float32, int64, bool columns of one length",
        ),
    ],
)
def test_what_makes_no_sense_is_refused(message: LabelUpdate, text: str) -> None:
    with pytest.raises(ValueError, match=text):
        LabelUpdates().add(message)
