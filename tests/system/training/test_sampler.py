from dataclasses import replace

import numpy as np
import pytest

from system.errors import UserError
from system.training.sampler import BatchPlan, Group, sample_seeds, share_of

POSITIVES, NEGATIVES, NOTHING = np.arange(40), np.arange(100, 340), np.empty(0, np.int64)
PLAN = BatchPlan(
    (Group("positive", POSITIVES),),
    (Group("negative", NEGATIVES),),
    batch_size=24,
    negatives_per_positive=5,
    num_steps=0,
    seed=(3, 1),
)


def num_positive(rows: np.ndarray) -> int:
    return int((rows < 100).sum())


def test_every_batch_has_one_positive_to_five_negatives() -> None:
    batches = PLAN.batches()
    assert batches.shape == (10, 24)
    assert [num_positive(batch) for batch in batches] == [4] * 10


@pytest.mark.parametrize("num_workers", [1, 2, 4])
def test_every_workers_share_keeps_the_ratio(num_workers: int) -> None:
    for batch in PLAN.batches():
        shares = [share_of(batch, rank=rank, num_workers=num_workers) for rank in range(num_workers)]
        assert [num_positive(share) for share in shares] == [4 // num_workers] * num_workers
        assert [len(share) for share in shares] == [24 // num_workers] * num_workers


@pytest.mark.parametrize("num_workers", [3, 8])
def test_positives_that_cannot_be_divided_are_spread_as_evenly_as_they_can(num_workers: int) -> None:
    batch = PLAN.batches()[0]
    found = [num_positive(share_of(batch, rank=rank, num_workers=num_workers)) for rank in range(num_workers)]
    assert sum(found) == 4
    assert max(found) - min(found) <= 1


@pytest.mark.parametrize("num_workers", [2, 4])
def test_workers_together_see_the_batch_that_one_worker_sees(num_workers: int) -> None:
    for batch in PLAN.batches():
        shares = [share_of(batch, rank=rank, num_workers=num_workers) for rank in range(num_workers)]
        assert np.stack(shares, axis=1).reshape(-1).tolist() == batch.tolist()


def test_a_plan_is_a_pure_function_of_its_seed() -> None:
    np.testing.assert_array_equal(PLAN.batches(), replace(PLAN).batches())
    for seed in ((3, 2), (4, 1)):  # another epoch, another run
        assert not np.array_equal(PLAN.batches(), replace(PLAN, seed=seed).batches())


def test_an_epoch_shows_every_positive_once_and_no_negative_twice() -> None:
    rows = PLAN.batches().reshape(-1)
    assert sorted(rows[rows < 100]) == POSITIVES.tolist()
    negatives = rows[rows >= 100]
    assert len(set(negatives)) == len(negatives) == 200


def test_a_class_that_runs_short_starts_again_only_after_all_of_it_was_used() -> None:
    rows = replace(PLAN, negatives=(Group("negative", np.arange(100, 106)),)).batches().reshape(-1)
    negatives = rows[rows >= 100]
    for first in range(0, 198, 6):
        assert sorted(negatives[first : first + 6]) == list(range(100, 106))
    assert not np.array_equal(negatives[:6], negatives[6:12])  # in a new order


def test_a_number_of_steps_that_was_set_is_kept() -> None:
    rows = replace(PLAN, num_steps=13).batches()
    assert rows.shape == (13, 24)
    assert [num_positive(batch) for batch in rows] == [4] * 13


@pytest.mark.parametrize(
    ("batch_size", "negatives_per_positive", "expected"),
    [(24, 5, 4), (12, 5, 2), (6, 5, 1), (3, 5, 1), (8, 1, 4), (8, 0, 8)],
)
def test_a_batch_has_at_least_one_positive(batch_size: int, negatives_per_positive: int, expected: int) -> None:
    plan = replace(PLAN, batch_size=batch_size, negatives_per_positive=negatives_per_positive)
    assert {num_positive(batch) for batch in plan.batches()} == {expected}


def test_an_absent_class_leaves_its_place_to_the_other_and_it_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    nothing = (Group("any", NOTHING),)
    assert num_positive(replace(PLAN, negatives=nothing).batches()) == 48  # 40 positives in batches of 24: two
    assert "no negative samples" in caplog.text
    only_negative = replace(PLAN, positives=nothing, num_steps=2).batches()
    assert only_negative.shape == (2, 24)
    assert num_positive(only_negative) == 0
    assert "no positive samples" in caplog.text


def test_as_many_steps_as_show_every_positive_are_none_without_positives() -> None:
    without = replace(PLAN, positives=(Group("any", NOTHING),))
    for use in (without.steps, without.batches):
        with pytest.raises(
            UserError, match=r"steps_per_epoch is 0, as many as show every image with a mass once, and no"
        ):
            use()


def test_nothing_to_train_on_is_refused() -> None:
    for nothing in ((), (Group("any", NOTHING),)):
        with pytest.raises(UserError, match=r"nothing to train on: .*check the splits and masks"):
            replace(PLAN, positives=nothing, negatives=nothing).batches()


def test_a_single_group_is_drawn_in_the_order_of_whole_permutations() -> None:
    """What the sampler drew before there were groups, so that old trainings can be repeated."""
    batches, rng = replace(PLAN, num_steps=23).batches(), np.random.default_rng((3, 1))
    for rows, places in ((POSITIVES, batches[:, :4]), (NEGATIVES, batches[:, 4:])):
        orders = [rng.permutation(rows) for _ in range(-(-places.size // len(rows)))]
        assert places.reshape(-1).tolist() == np.concatenate(orders)[: places.size].tolist()


STRONG, MINED, UNSURE = np.arange(6), np.arange(10, 45), np.arange(50, 70)
"""Rows of three groups of positives."""


def quotas(*groups: tuple[np.ndarray, float | None], num_steps: int = 12, positives: int = 8) -> BatchPlan:
    """Return a plan with groups of positives, each with its share, and as many negatives as positives."""
    named = tuple(Group(f"group {number}", rows, share) for number, (rows, share) in enumerate(groups))
    return replace(PLAN, positives=named, batch_size=2 * positives, negatives_per_positive=1, num_steps=num_steps)


def places_of(rows: np.ndarray, plan: BatchPlan) -> list[int]:
    """Return how many places the rows hold, batch by batch."""
    return np.isin(plan.batches(), rows).sum(axis=1).tolist()


@pytest.mark.parametrize(("share", "expected"), [(0.5, 4), (0.25, 2), (1.0, 8), (0.0, 0)])
def test_a_share_that_is_a_whole_number_of_places_holds_in_every_batch(share: float, expected: int) -> None:
    plan = quotas((STRONG, share), (MINED, None))
    assert places_of(STRONG, plan) == [expected] * 12
    assert places_of(MINED, plan) == [8 - expected] * 12
    assert places_of(NEGATIVES, plan) == [8] * 12


@pytest.mark.parametrize(("share", "positives"), [(0.1, 10), (0.7, 30), (0.6, 10), (0.29, 100), (0.57, 100)])
def test_a_whole_number_of_places_is_not_missed_by_the_rounding_of_a_float(share: float, positives: int) -> None:
    plan = quotas((STRONG, share), (MINED, None), positives=positives, num_steps=200)
    assert set(places_of(STRONG, plan)) == {round(share * positives)}


@pytest.mark.parametrize("share", [0.05, 0.3, 0.55, 0.9])
@pytest.mark.parametrize("num_steps", [40, 400])
def test_a_share_that_is_none_holds_on_average_and_no_batch_is_a_place_off(share: float, num_steps: int) -> None:
    plan = quotas((STRONG, share), (MINED, None), num_steps=num_steps)
    held = places_of(STRONG, plan)
    assert np.mean(held) == pytest.approx(8 * share, abs=2 / num_steps)
    assert set(held) == {int(8 * share), int(8 * share) + 1}


def test_each_of_three_groups_has_its_share_and_the_open_one_the_rest() -> None:
    plan = quotas((STRONG, 0.45), (UNSURE, 0.2), (MINED, None), num_steps=400)
    for rows, share in ((STRONG, 0.45), (UNSURE, 0.2), (MINED, 0.35)):
        held = places_of(rows, plan)
        assert np.mean(held) == pytest.approx(8 * share, abs=0.02)
        assert max(held) - min(held) == 1


def test_an_empty_group_gives_its_places_to_the_open_one() -> None:
    plan = quotas((STRONG, 0.25), (NOTHING, 0.5), (MINED, None))
    assert (places_of(STRONG, plan), places_of(MINED, plan)) == ([2] * 12, [6] * 12)


def test_without_an_open_group_the_others_divide_all_places_by_their_shares() -> None:
    plan = quotas((STRONG, 0.5), (UNSURE, 0.125), (MINED, 0.125), (NOTHING, None), num_steps=300)
    for rows, places in ((STRONG, 16 / 3), (UNSURE, 4 / 3), (MINED, 4 / 3)):
        assert np.mean(places_of(rows, plan)) == pytest.approx(places, abs=0.02)
    assert places_of(STRONG, quotas((STRONG, 0.25), (NOTHING, None))) == [8] * 12


def test_a_group_is_used_up_before_any_of_it_comes_again() -> None:
    batches = quotas((STRONG, 0.375), (MINED, None)).batches()
    strong = batches[np.isin(batches, STRONG)]
    assert len(strong) == 36
    for first in range(0, 36, 6):
        assert sorted(strong[first : first + 6]) == STRONG.tolist()


def test_batches_with_shares_are_a_pure_function_of_the_plan() -> None:
    plan = quotas((STRONG, 0.3), (UNSURE, 0.15), (MINED, None))
    np.testing.assert_array_equal(plan.batches(), replace(plan).batches())
    assert not np.array_equal(plan.batches(), replace(plan, seed=(3, 2)).batches())


@pytest.mark.parametrize("num_workers", [2, 4, 5])
def test_the_groups_of_a_batch_are_spread_over_the_workers(num_workers: int) -> None:
    for batch in quotas((STRONG, 0.3), (UNSURE, 0.15), (MINED, None)).batches():
        shares = [share_of(batch, rank=rank, num_workers=num_workers) for rank in range(num_workers)]
        for rows in (STRONG, UNSURE, MINED):
            held = [np.isin(share, rows).sum() for share in shares]
            assert max(held) - min(held) <= 1
        assert sorted(np.concatenate(shares)) == sorted(batch)


def test_a_batch_is_shared_as_evenly_as_it_can() -> None:
    batch = PLAN.batches()[0]
    shares = [share_of(batch, rank=rank, num_workers=5) for rank in range(5)]
    assert [len(share) for share in shares] == [5, 5, 5, 5, 4]
    assert sorted(np.concatenate(shares)) == sorted(batch)


def test_more_workers_than_rows_are_refused() -> None:
    way_out = r"change resources\.train\.num_workers, or batch_size in stage1"
    with pytest.raises(UserError, match=f"batch_size 24 is less than 25 workers: {way_out}"):
        share_of(PLAN.batches()[0], rank=0, num_workers=25)


def test_each_sample_has_a_seed_of_its_own_that_follows_from_epoch_and_step() -> None:
    first = sample_seeds((3, 1, 7), batch_size=24)
    assert len(set(first.tolist())) == 24
    assert (first == sample_seeds((3, 1, 7), batch_size=24)).all()
    assert not (first == sample_seeds((3, 1, 8), batch_size=24)).any()
