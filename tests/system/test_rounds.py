import json
import math

import pytest
from pydantic import TypeAdapter, ValidationError

from system.errors import UserError
from system.files.json_out import as_json
from system.mining import QuadrantCounts
from system.rounds import (
    Gain,
    GoOn,
    Mined,
    Promotion,
    RoundResult,
    RoundsConfig,
    Stop,
    Train,
    choose,
    decide,
    decide_training,
    parse_rounds,
    promote,
    rounds_in_all,
)
from system.training.config import StrongInBatch

TWO = RoundsConfig(num_rounds=2)
NAN = float("nan")
SYSTEMS = [("stage1", "supervised"), ("control_01", "control 1"), ("round_01", "round 1"), ("round_02", "round 2")]


def test_the_paper_runs_two_rounds() -> None:
    assert RoundsConfig().num_rounds == 2


def test_the_first_round_comes_first() -> None:
    assert decide([], config=TWO) == GoOn(1)


def test_a_round_that_mined_something_is_followed_by_the_next() -> None:
    assert decide([RoundResult(1, num_mined=1, better=True)], config=TWO) == GoOn(2)


def test_the_last_round_is_the_last() -> None:
    history = [RoundResult(1, num_mined=50, better=True), RoundResult(2, num_mined=60, better=True)]
    assert decide(history, config=TWO) == Stop("all 2 rounds are done")


def test_no_rounds_wanted_is_the_supervised_model_alone() -> None:
    assert decide([], config=RoundsConfig(num_rounds=0)) == Stop("all 0 rounds are done")


def test_a_round_that_mined_nothing_is_not_followed_by_another() -> None:
    found = decide([RoundResult(1, num_mined=0, better=True)], config=TWO)
    assert isinstance(found, Stop)
    assert found.reason == "round 1 mined no image: another would train on the same data"


def test_a_round_that_trained_nothing_ends_the_loop_with_its_reason_also_as_the_last() -> None:
    untrained = RoundResult(1, num_mined=0, better=False, untrained="nothing to train on")
    assert decide([untrained], config=RoundsConfig(num_rounds=1)) == Stop("nothing to train on")


def pool(p0: float, **counts: int) -> Mined:
    return Mined(p0, QuadrantCounts(**({"tp": 0, "fp": 0, "fn": 0, "tn": 0, "unused": 0} | counts)))


@pytest.mark.parametrize(
    ("mined", "num_outlined", "disputed", "expected"),
    [
        ([pool(0.85, unused=9), pool(0.75, tp=1, unused=8)], 0, "train", 1),  # the last p0 alone lets one in
        ([pool(0.85, fp=3)], 0, "train", 3),
        ([pool(0.85, fn=2, tn=5)], 0, "review", 2),
        ([pool(0.85, fp=3, disputed=3)], 0, "train", 3),
        ([pool(0.85, fp=3, disputed=2)], 0, "review", 1),
        ([pool(0.85, unused=9)], 4, "train", 4),  # what radiologists outlined is new to the model
    ],
)
def test_a_round_trains_where_any_epoch_has_an_image_that_is_new(
    mined: list[Mined], num_outlined: int, disputed: str, expected: int
) -> None:
    config = RoundsConfig.model_validate({"disputed": disputed})
    assert decide_training(1, mined, num_outlined=num_outlined, config=config) == Train(expected)


@pytest.mark.parametrize(
    ("mined", "why"),
    [
        (
            [pool(0.85, unused=30), pool(0.75, unused=26, tn=4)],
            "26 have a report that is not sure enough and 4 show no",
        ),
        ([pool(0.95, tn=7)], "of 7 weak images at p0 0.95, 7 show no mass by report and map;"),
        ([pool(0.95, fp=2, disputed=2)], "2 are disputed and wait for a radiologist (rounds.disputed);"),
        ([pool(0.95)], "of 0 weak images at p0 0.95, there is no weak image;"),
    ],
)
def test_a_round_with_empty_pools_trains_nothing_and_has_a_reason_and_a_remedy(mined: list[Mined], why: str) -> None:
    found = decide_training(2, mined, num_outlined=0, config=RoundsConfig(disputed="review"))
    assert isinstance(found, Stop)
    assert found.reason.startswith("round 2 has nothing to train on, its pools are empty at every p0: ")
    assert why in found.reason
    assert "Lower rounds.p0" in found.reason


def test_only_the_latest_round_decides() -> None:
    history = [RoundResult(1, num_mined=0, better=True), RoundResult(2, num_mined=3, better=True)]
    assert decide(history, config=RoundsConfig(num_rounds=3)) == GoOn(3)


def test_what_happened_before_the_archive_was_read_anew_stops_no_round() -> None:
    config = RoundsConfig(num_rounds=5, patience=1)
    mined_nothing = [RoundResult(1, num_mined=5, better=True), RoundResult(2, num_mined=0, better=False)]
    assert isinstance(decide(mined_nothing, config=config), Stop)
    assert decide(mined_nothing, config=config, first=3) == GoOn(3)
    saturated = [*mined_nothing, RoundResult(3, num_mined=5, better=False)]
    assert decide(saturated, config=config, first=4) == GoOn(4)
    assert isinstance(decide(saturated, config=config, first=3), Stop)


@pytest.mark.parametrize(
    ("text", "number", "more"), [("3", 3, False), ("+1", 1, True), ("0", 0, False), ("+12", 12, True)]
)
def test_rounds_are_asked_for_in_all_or_on_top(text: str, number: int, more: bool) -> None:
    assert parse_rounds(text) == (number, more)


@pytest.mark.parametrize("text", ["+", "-1", "one", "+0", "1.5", "", " 1", "+-1", "12345", "１"])
def test_what_is_no_number_of_rounds_is_refused(text: str) -> None:
    with pytest.raises(
        UserError, match=r"--rounds '.*': expected \+1, for one more than are done, or 3, for three in all"
    ):
        parse_rounds(text)


def test_more_rounds_come_on_top_of_those_of_an_ended_run_alone() -> None:
    assert rounds_in_all(7, more=False, done=2, begun_for=4, finished=True) == 7
    assert rounds_in_all(1, more=True, done=2, begun_for=4, finished=True) == 3
    assert rounds_in_all(1, more=True, done=2, begun_for=4, finished=False) == 4


def test_a_negative_number_of_rounds_is_refused() -> None:
    with pytest.raises(ValidationError):
        RoundsConfig(num_rounds=-1)


def history(*better: bool) -> list[RoundResult]:
    return [RoundResult(number, num_mined=9, better=each) for number, each in enumerate(better, start=1)]


@pytest.mark.parametrize(
    ("better", "patience", "ends"),
    [
        ((False,), 1, True),
        ((True,), 1, False),
        ((True, False), 1, True),
        ((True, False), 2, False),
        ((False, False), 2, True),
        ((False, True, False), 2, False),
        ((True, False, False), 2, True),
        ((False,), 2, False),
        ((False, False, False, False), 0, False),
    ],
)
def test_the_loop_ends_after_so_many_rounds_in_a_row_that_were_not_better(
    better: tuple[bool, ...], patience: int, ends: bool
) -> None:
    found = decide(history(*better), config=RoundsConfig(num_rounds=9, patience=patience))
    reason = f"saturated: the last {patience} rounds were no better than the models before them"
    assert found == (Stop(reason) if ends else GoOn(len(better) + 1))


def test_the_paper_goes_on_whether_or_not_a_round_was_better() -> None:
    assert (RoundsConfig().patience, RoundsConfig().promote) == (0, "always")


def gain(difference: float) -> Gain:
    return Gain(mean=0.5 + difference, before=0.5, difference=difference, interval=(difference - 0.1, difference + 0.1))


@pytest.mark.parametrize(
    ("promotes", "difference", "expected"),
    [
        ("always", -0.2, True),
        ("always", NAN, True),
        ("better", 0.01, True),
        ("better", 0.0, False),
        ("better", -0.01, False),
        ("better", NAN, True),
    ],
)
def test_a_round_is_promoted_always_or_only_if_it_is_better(promotes: str, difference: float, expected: bool) -> None:
    config = RoundsConfig.model_validate({"promote": promotes})
    found = promote(gain(difference), over="stage1", config=config)
    assert (found.promoted, found.over) == (expected, "stage1")
    reasons = {True: "better than the model before it", False: "no better than the model before it"}
    if math.isnan(difference):
        reasons[True] = "validation shows no lesion to compare by: the latest is taken"
    assert found.reason == ("rounds.promote is always" if promotes == "always" else reasons[expected])


def test_a_promotion_without_a_lesion_on_validation_is_kept_as_json() -> None:
    found = promote(Gain(NAN, NAN, NAN, (NAN, NAN)), over="round_01", config=RoundsConfig(promote="better"))
    text = json.loads(as_json(found), parse_constant=pytest.fail)
    back = TypeAdapter(Promotion).validate_python(text)
    assert (back.promoted, back.over, back.reason) == (found.promoted, found.over, found.reason)
    assert math.isnan(back.gain.difference)


def test_a_gain_in_words() -> None:
    assert gain(-0.125).line() == "0.375 on validation, 0.500 before: -0.125 (-0.225 to -0.025)"


def chosen(*means: float) -> tuple[str, str]:
    titles = [title for _, title in SYSTEMS]
    found = choose(SYSTEMS, dict(zip(titles, means, strict=True)))
    return found.system, found.reason


def test_the_result_is_the_highest_on_validation_and_the_reason_names_all() -> None:
    assert chosen(0.5, 0.7, 0.6, 0.65) == (
        "control_01",
        "highest mean sensitivity on validation, 0.700 (supervised 0.500, round 1 0.600, round 2 0.650)",
    )


@pytest.mark.parametrize(
    ("means", "expected"),
    [
        ((0.5, 0.5, 0.5, 0.5), "stage1"),  # the first of equals
        ((0.4, 0.4, 0.6, 0.6), "round_01"),
        ((NAN, 0.2, NAN, 0.1), "control_01"),
        ((0.0, NAN, NAN, NAN), "stage1"),
        ((NAN, NAN, NAN, NAN), "round_02"),
    ],
)
def test_ties_go_to_the_first_and_what_was_not_measured_is_not_chosen(means: tuple[float, ...], expected: str) -> None:
    assert chosen(*means)[0] == expected


def test_where_validation_shows_no_lesion_the_last_model_is_taken_and_that_is_said() -> None:
    assert chosen(NAN, NAN, NAN, NAN)[1] == "validation shows no lesion: the last one trained is taken"


def test_a_lone_system_is_the_result_without_others_in_the_reason() -> None:
    found = choose(SYSTEMS[:1], {"supervised": 0.25})
    assert (found.system, found.title) == ("stage1", "supervised")
    assert found.reason == "highest mean sensitivity on validation, 0.250"


@pytest.mark.parametrize(
    ("set_steps", "epoch_of_stage1", "of_stage1", "expected"),
    [
        (0, 2.0, 100.0, 200),
        (0, 0.5, 33.0, 16),
        (0, 0.01, 10.0, 1),  # never none
        (0, 0.0, 100.0, 0),  # 0 = as many as show every positive once
        (7, 2.0, 100.0, 7),  # what is set counts
    ],
)
def test_a_rounds_epoch_is_as_long_as_stage_1_times_a_factor(
    set_steps: int, epoch_of_stage1: float, of_stage1: float, expected: int
) -> None:
    config = RoundsConfig(epoch_of_stage1=epoch_of_stage1)
    config = config.changed(train=config.train.changed(steps_per_epoch=set_steps))
    assert config.steps_per_epoch(of_stage1=of_stage1) == expected


def test_shares_of_the_positive_places_that_are_more_than_all_are_refused() -> None:
    with pytest.raises(ValidationError, match=r"0\.8 for annotated positives and 0\.3 for FN are more than all"):
        RoundsConfig(strong_in_batch=StrongInBatch(positives=0.8), fn_in_batch=0.3)
    RoundsConfig(strong_in_batch=StrongInBatch(positives=0.7, negatives=1.0), fn_in_batch=0.3)
