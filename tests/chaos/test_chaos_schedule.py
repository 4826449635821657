"""The schedule: a seed gives the same strikes each time, of every kind, and none that cannot be."""

from tests.chaos.schedule import PAUSE_S, SIGNALS, STORE_FAULTS, TARGETS, draw
from tests.chaos.victims import TITLES
from tests.chaos.words import STEPS

MANY = [draw(5, number) for number in range(1, 6001)]


def test_a_strike_depends_on_seed_and_number_alone() -> None:
    assert [draw(5, number) for number in (3, 2, 1)] == [MANY[2], MANY[1], MANY[0]]
    assert draw(6, 1) != MANY[0]
    assert [strike.number for strike in MANY[:3]] == [1, 2, 3]


def test_every_stage_is_struck_by_every_fault_on_every_victim_that_is_there() -> None:
    signals = {(each.step, each.stage, each.victim, each.fault) for each in MANY if each.fault in SIGNALS}
    possible = {
        (*where, victim, fault) for where, victims in TARGETS.items() for victim in victims for fault in SIGNALS
    }
    assert signals == possible
    assert {(each.step, each.stage) for each in MANY if each.fault == "full"} == set(TARGETS)
    assert {each.fault for each in MANY if each.victim == "store"} == set(STORE_FAULTS)


def test_only_a_bucket_has_a_store_and_only_a_folder_a_full_disk() -> None:
    assert {each.place for each in MANY if each.victim == "store"} == {"bucket"}
    assert {each.place for each in MANY if each.victim == "disk"} == {"folder"}
    assert {each.place for each in MANY if each.fault in SIGNALS} == {"folder", "bucket"}


def test_moments_are_spread_over_the_whole_stage_and_pauses_over_their_range() -> None:
    for by in ("time", "line"):
        shares = sorted(each.moment.at for each in MANY if each.moment.by == by)
        assert shares[0] < 0.01
        assert shares[-1] > 0.99
        assert 0.45 < shares[len(shares) // 2] < 0.55
    assert all(PAUSE_S[0] <= each.pause_s < PAUSE_S[1] and 0 <= each.pick < 1 for each in MANY)


def test_every_target_is_a_step_and_every_victim_can_be_found() -> None:
    assert {step for step, _ in TARGETS} == set(STEPS)
    assert {victim for victims in TARGETS.values() for victim in victims} == {"driver", *TITLES}
    assert all(not this.after or this.after in STEPS for this in STEPS.values())
