"""What a sweep has come to, in order, sentences and tables."""

import math
from dataclasses import replace

import pytest

from system.figures.sweep_rows import Behind, Confirmed, FinalResult, SweepResults, pareto, ranked
from system.figures.sweep_words import (
    confirmation,
    ranking,
    sentences,
    setting_in_words,
    short_names,
    tables_of,
    text_of,
)
from tests.system.figures.sweeps import trial

TRIALS = [
    trial(0, 0.50),
    trial(1, 0.70, seconds=30),
    trial(2, state="stopped", values=[0.1, 0.2]),
    trial(3, state="failed", reason="the loss was not finite"),
    trial(4, 0.68),
]
FOUND = SweepResults(
    trials=TRIALS,
    wanted=8,
    start=0,
    behind={1: Behind(0.0, (0.0, 0.0)), 4: Behind(-0.02, (-0.05, 0.01)), 0: Behind(-0.2, (-0.3, -0.1))},
    measure="mean sensitivity",
    front=(),
)


def confirmed(number: int, mean: float, gain: float, interval: tuple[float, float]) -> Confirmed:
    return Confirmed(number, TRIALS[number].setting, number == 0, (mean, mean), mean, 0.01, gain, interval)


def test_best_comes_first_equal_ones_by_number_and_one_without_a_value_last() -> None:
    trials = [trial(0), trial(1, 0.2), trial(2, 0.7), trial(3, 0.2), trial(4, 0.9, state="running")]
    assert [each.number for each in ranked(trials)] == [2, 1, 3, 0]


def test_the_front_holds_those_than_which_none_is_both_better_and_faster() -> None:
    trials = [trial(0, 0.5, seconds=5), trial(1, 0.7, seconds=9), trial(2, 0.6, seconds=9), trial(3, 0.7, seconds=9)]
    assert pareto([*trials, trial(4, state="failed")]) == {0, 1, 3}


def test_what_was_found_is_said_in_words() -> None:
    assert list(sentences(FOUND)) == [
        "5 of 8 trials ended: 3 finished, 1 stopped early, 1 failed.",
        "Best mean sensitivity on validation: trial 1, 0.700 (0.600 to 0.800), with alpha 0.2, mask_labels soft.",
        "Within noise of it on these patients: trial 4.",
        (
            "The best of many on the same validation patients is flattered by the choice: --confirm 3 trains it anew "
            "with fresh seeds."
        ),
    ]


def test_a_sweep_without_a_finished_trial_says_how_far_it_is() -> None:
    found = SweepResults([trial(0, state="running"), trial(1, state="failed")], 8, None, {}, "mean sensitivity", ())
    assert list(sentences(found)) == ["1 of 8 trials ended: 1 failed; 1 under way."]
    assert [table.title for table in tables_of(found)] == ["Stopped early, and failed"]


@pytest.mark.parametrize(
    ("interval", "verdict"),
    [
        ((0.02, 0.10), "better than the start"),
        ((-0.02, 0.10), "not to be told from the start"),
        ((-0.2, -0.1), "worse than the start"),
    ],
)
def test_fresh_seeds_have_the_last_word(interval: tuple[float, float], verdict: str) -> None:
    rows = [confirmed(4, 0.66, 0.1, interval), confirmed(1, 0.6, 0.04, (0.0, 0.1)), confirmed(0, 0.56, 0, (0, 0))]
    found = replace(FOUND, confirmed=rows)
    assert found.winner.number == 4
    assert next(text for text in sentences(found) if "fresh seeds" in text).endswith(f"{verdict} on these patients.")
    table = confirmation(found)
    assert table.title == "Trained anew with 2 fresh seeds, mean sensitivity on validation"
    assert [row[0] for row in table.rows] == ["4", "1", "0 (start)"]


def test_where_the_start_is_best_with_fresh_seeds_it_is_kept() -> None:
    found = replace(FOUND, confirmed=[confirmed(0, 0.7, 0.0, (0.0, 0.0)), confirmed(1, 0.6, -0.1, (-0.2, 0.0))])
    assert "With fresh seeds no setting is better than the start: keep it." in list(sentences(found))
    assert found.winner.number == 0


def test_the_numbers_on_test_are_said_with_their_patients() -> None:
    final = FinalResult(1, {}, 3, 40, 12, 0.61, (0.5, 0.7), 0.55, 0.06, (-0.01, 0.12))
    assert list(sentences(replace(FOUND, final=final)))[-1] == (
        "On test, once: trial 1 0.610 (0.500 to 0.700), the start 0.550; difference +0.060 (−0.010 to +0.120); "
        "40 patients, 12 lesions, models of each: 3."
    )


def test_the_ranking_marks_the_start_the_noise_and_the_front() -> None:
    table = ranking(replace(FOUND, front=(1,)))
    assert table.headings == [
        *("rank", "trial", "mean", "95 %", "behind", "95 %, paired", "noise", "alpha", "mask_labels", "seconds")
    ]
    assert [row[:2] for row in table.rows] == [["1", "1 (front)"], ["2", "4"], ["3", "0 (start)"]]
    assert [row[4:7] for row in table.rows] == [
        ["best", "–", ""],
        ["−0.020", "−0.050 to +0.010", "yes"],
        ["−0.200", "−0.300 to −0.100", "no"],
    ]


def test_a_trial_that_lacks_a_key_has_a_dash_there() -> None:
    found = SweepResults([trial(0, 0.5, setting={"loss.alpha": 0.2}), trial(1, 0.4)], 2, 0, {}, "mean sensitivity", ())
    assert [row[7:9] for row in ranking(found).rows] == [["0.2", "–"], ["0.2", "soft"]]


def test_why_a_trial_ended_early_is_shown() -> None:
    rows = next(table for table in tables_of(FOUND) if table.title.startswith("Stopped")).rows
    assert [row[:3] for row in rows] == [
        ["2", "stopped early", "0.200 after 2"],
        ["3", "failed", "the loss was not finite"],
    ]


def test_names_are_as_short_as_they_can_be_told_apart() -> None:
    keys = ["loss.alpha", "stage1.learning_rate", "rounds.train.learning_rate"]
    assert short_names(keys) == {
        "loss.alpha": "alpha",
        "stage1.learning_rate": "stage1.learning_rate",
        "rounds.train.learning_rate": "train.learning_rate",
    }


@pytest.mark.parametrize(
    ("value", "text"),
    [(0.123456, "0.1235"), (1e-5, "1e-05"), (3, "3"), (True, "true"), (None, "null"), ("soft", "soft")],
)
def test_values_for_people(value: object, text: str) -> None:
    assert text_of(value) == text
    assert setting_in_words({"a.b": value}) == f"b {text}"  # type: ignore[dict-item]


def test_without_a_finished_trial_there_is_no_winner() -> None:
    with pytest.raises(LookupError):
        _ = SweepResults([trial(0, math.nan, state="failed")], 1, None, {}, "mean sensitivity", ()).winner
