import pytest
from pydantic import ValidationError

from system.rounds import GoOn, RoundResult, RoundsConfig, Stop, decide

TWO = RoundsConfig(num_rounds=2)


def test_the_paper_runs_two_rounds() -> None:
    assert RoundsConfig().num_rounds == 2


def test_the_first_round_comes_first() -> None:
    assert decide([], config=TWO) == GoOn(1)


def test_a_round_that_mined_something_is_followed_by_the_next() -> None:
    assert decide([RoundResult(1, num_mined=1)], config=TWO) == GoOn(2)


def test_the_last_round_is_the_last() -> None:
    history = [RoundResult(1, num_mined=50), RoundResult(2, num_mined=60)]
    assert decide(history, config=TWO) == Stop("all 2 rounds are done")


def test_no_rounds_wanted_is_the_supervised_model_alone() -> None:
    assert decide([], config=RoundsConfig(num_rounds=0)) == Stop("all 0 rounds are done")


def test_a_round_that_mined_nothing_is_not_followed_by_another() -> None:
    found = decide([RoundResult(1, num_mined=0)], config=TWO)
    assert isinstance(found, Stop)
    assert found.reason == "round 1 mined no image: another would train on the same data"


def test_only_the_latest_round_decides() -> None:
    history = [RoundResult(1, num_mined=0), RoundResult(2, num_mined=3)]
    assert decide(history, config=RoundsConfig(num_rounds=3)) == GoOn(3)


def test_a_negative_number_of_rounds_is_refused() -> None:
    with pytest.raises(ValidationError):
        RoundsConfig(num_rounds=-1)
