from dataclasses import replace

import numpy as np
import pytest

from system.errors import UserError
from system.training.sampler import BatchPlan, sample_seeds, share_of

POSITIVES, NEGATIVES = np.arange(40), np.arange(100, 340)
PLAN = BatchPlan(POSITIVES, NEGATIVES, batch_size=24, negatives_per_positive=5, num_steps=0, seed=(3, 1))


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
    rows = replace(PLAN, negatives=np.arange(100, 106)).batches().reshape(-1)
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
    nothing = np.empty(0, np.int64)
    assert num_positive(replace(PLAN, negatives=nothing).batches()) == 48  # 40 positives in batches of 24: two
    assert "no negative samples" in caplog.text
    only_negative = replace(PLAN, positives=nothing, num_steps=2).batches()
    assert only_negative.shape == (2, 24)
    assert num_positive(only_negative) == 0
    assert "no positive samples" in caplog.text


def test_nothing_to_train_on_is_refused() -> None:
    nothing = np.empty(0, np.int64)
    with pytest.raises(UserError, match=r"nothing to train on: .*check the splits and masks"):
        replace(PLAN, positives=nothing, negatives=nothing).batches()


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
