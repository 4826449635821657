import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from system.mining.label_updates import LabelUpdate, UpdateSource
from system.mining.pools import Columns, Pools, QuadrantCounts, Reason, Shard
from system.records import Quadrant


def columns(*rows: tuple[int, float, bool]) -> Columns:
    """Rows of key, p_mass, has_mask; the score is key / 100."""
    keys = np.array([row[0] for row in rows], np.int64)
    p_mass = np.array([row[1] for row in rows], np.float32)
    return Columns(keys, p_mass, (keys / 100).astype(np.float32), np.array([row[2] for row in rows], bool))


def shard(number: int, *rows: tuple[int, float, bool], round_number: int = 1, attempt: int = 1) -> Shard:
    return Shard(
        round_number, number, attempt, f"round_{round_number}/attempt_{attempt}/part_{number}.parquet", columns(*rows)
    )


def pools(*shards: Shard) -> Pools:
    held = Pools()
    for one in shards:
        held.accept(one)
    return held


def test_counts_are_those_of_the_columns_at_any_p0() -> None:
    held = pools(
        shard(0, (1, 0.99, True), (2, 0.9, True), (3, 0.02, True)), shard(1, (4, 0.99, False), (5, 0.02, False))
    )
    assert held.counts(p0=0.95) == QuadrantCounts(tp=1, fp=1, fn=1, tn=1, unused=1, disputed=1)
    assert held.counts(p0=0.85) == QuadrantCounts(tp=2, fp=1, fn=1, tn=1, unused=0, disputed=1)


def test_a_repeated_shard_changes_nothing() -> None:
    held = Pools()
    assert held.accept(shard(0, (1, 0.99, True)))
    assert not held.accept(shard(0, (1, 0.99, True)))
    assert held.counts(p0=0.95).tp == 1


def test_a_newer_attempt_of_a_shard_replaces_the_older() -> None:
    held = pools(shard(0, (1, 0.99, True)), shard(0, (1, 0.99, False), attempt=2))
    assert held.counts(p0=0.95) == QuadrantCounts(tp=0, fp=0, fn=1, tn=0, unused=0)
    assert held.predictions_files() == {0: "round_1/attempt_2/part_0.parquet"}


def test_an_older_attempt_that_comes_late_is_ignored() -> None:
    held = pools(shard(0, (1, 0.99, False), attempt=2))
    assert not held.accept(shard(0, (1, 0.99, True), attempt=1))
    assert held.counts(p0=0.95).fn == 1


def test_the_same_attempt_with_other_content_is_refused() -> None:
    held = pools(shard(0, (1, 0.99, True)))
    with pytest.raises(ValueError, match="round 1, shard 0, attempt 1 was offered before with other content"):
        held.accept(shard(0, (1, 0.99, False)))


def test_an_image_cut_into_another_file_by_a_newer_attempt_counts_once() -> None:
    held = pools(
        shard(0, (1, 0.99, True)), shard(1, (2, 0.99, True)), shard(0, (1, 0.99, False), (2, 0.99, False), attempt=2)
    )
    assert held.counts(p0=0.95) == QuadrantCounts(tp=0, fp=0, fn=2, tn=0, unused=0)
    assert held.columns()[1].tolist() == [0, 0]


def test_images_come_by_rising_key_with_their_shard() -> None:
    found, numbers = pools(shard(1, (5, 0.1, True), (2, 0.2, False)), shard(0, (3, 0.3, True))).columns()
    assert found.keys.tolist() == [2, 3, 5]
    assert found.p_mass.tolist() == pytest.approx([0.2, 0.3, 0.1])
    assert found.score.tolist() == pytest.approx([0.02, 0.03, 0.05])
    assert found.has_mask.tolist() == [False, True, True]
    assert numbers.tolist() == [1, 0, 1]


def test_the_next_round_decides_anew() -> None:
    held = pools(shard(0, (1, 0.99, True), (2, 0.99, True)), shard(0, (1, 0.99, False), round_number=2))
    assert held.counts(p0=0.95).tp == 0
    assert held.counts(p0=0.95, round_number=1).tp == 2


def test_moves_name_the_images_that_left_their_quadrant() -> None:
    first = shard(0, (1, 0.99, False), (2, 0.99, True), (3, 0.01, True), (4, 0.99, False))
    second = shard(
        0, (4, 0.99, True), (3, 0.01, False), (2, 0.99, True), (1, 0.99, True), (9, 0.99, True), round_number=2
    )
    moves = pools(first, second).moves(p0=0.95)
    assert moves.keys.tolist() == [1, 3, 4]
    assert moves.before.tolist() == [Quadrant.FN, Quadrant.FP, Quadrant.FN]
    assert moves.after.tolist() == [Quadrant.TP, Quadrant.TN, Quadrant.TP]
    assert moves.counts() == {"FN>TP": 2, "FP>TN": 1}


def update(
    source: UpdateSource, *rows: tuple[int, float], round_number: int = 2, order: int = 1, masked: bool = False
) -> LabelUpdate:
    """Rows of key and p_mass."""
    keys, p_mass = np.array([row[0] for row in rows], np.int64), np.array([row[1] for row in rows], np.float32)
    return LabelUpdate(
        source, round_number, keys, p_mass, np.full(len(rows), order, np.int64), np.full(len(rows), masked)
    )


def test_a_withdrawn_report_and_a_verdict_move_rows_from_their_round_on() -> None:
    held = pools(
        *[
            shard(0, (1, 0.99, True), (2, 0.99, True), (3, 0.01, True), (4, 0.5, True), round_number=number)
            for number in (1, 2)
        ]
    )
    assert held.counts(p0=0.95) == QuadrantCounts(tp=2, fp=1, fn=0, tn=0, unused=1, disputed=1)
    assert held.update_labels(update(UpdateSource.LABEL, (1, np.nan)))
    assert held.update_labels(update(UpdateSource.VERDICT, (2, 0.0), (4, 1.0), (99, 1.0)))  # 99 is not of the round
    assert held.counts(p0=0.95) == QuadrantCounts(tp=1, fp=2, fn=0, tn=0, unused=1)
    assert held.counts(p0=0.95, round_number=1).tp == 2
    assert not held.update_labels(update(UpdateSource.LABEL, (1, np.nan)))


def test_a_verdict_beats_a_label_and_is_never_overridden_by_a_later_round() -> None:
    held = pools(shard(0, (1, 0.01, True)), shard(0, (1, 0.01, True), round_number=2))
    held.update_labels(update(UpdateSource.VERDICT, (1, 1.0), round_number=1, order=5))
    held.update_labels(update(UpdateSource.LABEL, (1, 0.01), round_number=2, order=9))
    assert held.counts(p0=0.95).tp == 1
    held.accept(shard(0, (1, 0.02, True), round_number=3))
    assert held.counts(p0=0.95).tp == 1


def test_an_image_that_a_radiologist_has_outlined_is_in_no_pool() -> None:
    held = pools(shard(0, (1, 0.99, True)))
    held.update_labels(update(UpdateSource.VERDICT, (1, 1.0), round_number=1, masked=True))
    assert held.counts(p0=0.95) == QuadrantCounts(tp=0, fp=0, fn=0, tn=0, unused=1)


def test_a_verdict_does_not_count_for_the_pool_that_its_image_was_in() -> None:
    held = pools(shard(0, (1, 0.99, True), (2, 0.99, True), (3, 0.01, True)), shard(1, (4, 0.99, False)))
    held.update_labels(update(UpdateSource.VERDICT, (1, 0.0), (4, 0.0), round_number=1))
    held.update_labels(update(UpdateSource.LABEL, (2, np.nan), round_number=1))
    keys, quadrant, _ = held.known(np.array([1, 2, 4, 99]), p0=0.95)
    assert dict(zip(keys.tolist(), quadrant.tolist(), strict=True)) == {
        1: Quadrant.TP,
        2: Quadrant.UNUSED,
        4: Quadrant.FN,
    }
    assert held.counts(p0=0.95).tp == 0


def disputed_keys(held: Pools, *, p0: float = 0.95) -> list[int]:
    parts = [(part, part.quadrants(p0=p0)) for _, part in held.parts()]
    marks = held.disputed(parts)
    return [key for (part, _), mark in zip(parts, marks, strict=True) for key in part.keys[mark].tolist()]


def test_an_fp_is_disputed_by_the_median_of_all_tp_of_the_round_not_of_its_shard() -> None:
    """The score is key / 100: TP score .10, .20, .60; alone, the second shard's median would be .60."""
    held = pools(
        shard(0, (10, 0.99, True), (20, 0.99, True), (15, 0.01, True), (99, 0.99, False)),
        shard(1, (60, 0.99, True), (21, 0.01, True), (30, 0.01, True), (98, 0.5, True)),
        shard(2, (25, 0.01, True)),  # without any TP
    )
    assert disputed_keys(held) == [21, 30, 25]
    assert held.counts(p0=0.95) == QuadrantCounts(tp=3, fp=4, fn=1, tn=0, unused=1, disputed=3)


def test_the_median_follows_p0() -> None:
    held = pools(shard(0, (10, 0.99, True), (50, 0.9, True), (70, 0.9, True), (30, 0.01, True)))
    assert (disputed_keys(held, p0=0.95), disputed_keys(held, p0=0.85)) == ([30], [])


def test_an_fp_as_sure_as_the_median_tp_is_not_disputed() -> None:
    same = Columns(
        np.array([1, 2], np.int64), np.array([0.99, 0.01], np.float32), np.full(2, 0.7, np.float32), np.ones(2, bool)
    )
    assert pools(Shard(1, 0, 1, "part_0.parquet", same)).counts(p0=0.95).disputed == 0


def test_where_no_report_agrees_with_a_map_no_fp_is_disputed() -> None:
    assert pools(shard(0, (90, 0.01, True), (91, 0.99, False))).counts(p0=0.95).disputed == 0


def test_an_fp_that_a_radiologist_has_judged_is_disputed_no_more() -> None:
    held = pools(shard(0, (10, 0.99, True), (20, 0.01, True), (30, 0.01, True)))
    assert disputed_keys(held) == [20, 30]
    held.update_labels(update(UpdateSource.VERDICT, (20, 0.0), round_number=1))
    assert disputed_keys(held) == [30]
    assert held.counts(p0=0.95) == QuadrantCounts(tp=1, fp=2, fn=0, tn=0, unused=0, disputed=1)


def test_for_the_purity_an_image_is_disputed_without_regard_to_verdicts() -> None:
    """20 is disputed although a radiologist agrees with its report; 10 counts as TP although one overrules it."""
    held = pools(shard(0, (10, 0.99, True), (20, 0.01, True)), shard(1, (5, 0.01, True)))
    held.update_labels(update(UpdateSource.VERDICT, (10, 0.0), (20, 0.0), round_number=1))
    keys, quadrant, marked = held.known(np.array([5, 20]), p0=0.95)
    assert sorted(zip(keys.tolist(), quadrant.tolist(), marked.tolist(), strict=True)) == [
        (5, Quadrant.FP, False),
        (20, Quadrant.FP, True),
    ]


def test_moves_have_their_reasons() -> None:
    first = shard(
        0, (1, 0.99, False), (2, 0.99, True), (3, 0.99, True), (4, 0.99, True), (5, 0.99, True), (6, 0.99, True)
    )
    second = shard(
        0,
        (1, 0.99, True),
        (2, 0.5, True),
        (3, 0.01, False),
        (4, 0.99, True),
        (5, 0.99, True),
        (6, 0.99, False),
        round_number=2,
    )
    held = pools(first, second)
    held.update_labels(update(UpdateSource.LABEL, (4, np.nan)))
    # The verdict on 6 agrees with its report: the map moved it.
    held.update_labels(update(UpdateSource.VERDICT, (5, 0.0), (6, 1.0)))
    moves = held.moves(p0=0.95)
    expected = {1: Reason.MAP, 2: Reason.LABEL, 3: Reason.BOTH, 4: Reason.LABEL, 5: Reason.VERDICT, 6: Reason.MAP}
    assert dict(zip(moves.keys.tolist(), moves.reason.tolist(), strict=True)) == expected
    assert moves.reasons() == {"label": 2, "map": 2, "both": 1, "verdict": 1}


def test_nothing_has_moved_in_the_first_round() -> None:
    moves = pools(shard(0, (1, 0.99, True))).moves(p0=0.95)
    assert moves.keys.size == 0
    assert moves.counts() == {}


def test_only_the_two_newest_rounds_are_held() -> None:
    held = pools(
        shard(0, (1, 0.99, True)), shard(0, (1, 0.99, True), round_number=2), shard(0, (1, 0.99, True), round_number=3)
    )
    assert held.rounds() == [2, 3]
    assert not held.accept(shard(1, (2, 0.99, True)))


def test_a_round_that_was_not_offered_is_refused_with_those_that_were() -> None:
    with pytest.raises(LookupError, match=r"round 2 was not offered to the miner, which holds \[1\]"):
        pools(shard(0, (1, 0.99, True))).counts(p0=0.95, round_number=2)
    with pytest.raises(LookupError, match="round LATEST was not offered"):
        Pools().columns()


def test_a_label_that_is_no_probability_is_refused() -> None:
    with pytest.raises(ValueError, match=r"labels outside 0 to 1 \(up to 1.5\)"):
        Pools().accept(shard(0, (1, 1.5, True)))


def test_columns_of_unequal_length_are_refused() -> None:
    uneven = Columns(np.zeros(2, np.int64), np.zeros(1, np.float32), np.zeros(2, np.float32), np.zeros(2, bool))
    with pytest.raises(ValueError, match="columns of one length"):
        Pools().accept(Shard(1, 0, 1, "", uneven))


def test_the_state_does_not_share_memory_with_the_message() -> None:
    message = shard(0, (1, 0.99, True))
    held = pools(message)
    message.columns.has_mask[0] = False
    assert held.counts(p0=0.95).tp == 1


ALL = [
    shard(
        number,
        *[
            (4 * number + place, [0.99, 0.8, 0.01, 0.2][(place + round_number) % 4], (place + attempt) % 2 == 0)
            for place in range(4)
        ],
        round_number=round_number,
        attempt=attempt,
    )
    for round_number in (1, 2, 3)
    for number in (0, 1)
    for attempt in (1, 2)
]


@given(repeats=st.lists(st.sampled_from(ALL), max_size=8), order=st.permutations(ALL), p0=st.sampled_from([0.95, 0.75]))
@settings(max_examples=60, deadline=None)
def test_any_order_and_any_repeats_give_the_same_pools(repeats: list[Shard], order: list[Shard], p0: float) -> None:
    clean, found = pools(*ALL), pools(*repeats, *order)
    assert found.counts(p0=p0) == clean.counts(p0=p0)
    assert found.moves(p0=p0).keys.tolist() == clean.moves(p0=p0).keys.tolist()
    for one, other in zip(found.columns()[0].arrays(), clean.columns()[0].arrays(), strict=True):
        np.testing.assert_array_equal(one, other)


def test_counts_in_words() -> None:
    found = QuadrantCounts(tp=1, fp=2, fn=3, tn=4, unused=5, disputed=1)
    assert found.line() == "1 TP, 2 FP (1 disputed), 3 FN, 4 TN, 5 unused"
    assert (found.num_pooled, found.num_images) == (6, 15)
