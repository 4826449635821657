"""The result of a run in one sentence, case by case."""

import re

import pytest

from system.figures import format as text
from system.figures.result_sentence import RoundStanding, Standing, result_sentence
from system.figures.rows import HeadlineRow

NAN = float("nan")
SUPERVISED = HeadlineRow("supervised", {"1": 0.56}, 0.560, (0.5, 0.62))


def row(title: str, mean: float, low: float = NAN, high: float = NAN) -> HeadlineRow:
    return HeadlineRow(title, {"1": mean}, mean, (mean - 0.05, mean + 0.05), mean - 0.560, (low, high))


def rounds(*promoted: bool, control: bool = True) -> tuple[RoundStanding, ...]:
    return tuple(
        RoundStanding(f"round {number}", f"control {number}" if control else "", promoted=went_on)
        for number, went_on in enumerate(promoted, start=1)
    )


ISSUE = [
    SUPERVISED,
    row("control 1", 0.54, -0.05, 0.01),
    row("round 1", 0.600, 0.001, 0.09),
    row("control 2", 0.528, -0.06, 0.0),
    row("round 2", 0.606, 0.008, 0.097),
]
CASES = {
    "the issue's own": (
        ISSUE,
        Standing(rounds(True, True), "round 2"),
        (
            "Two rounds raised mean sensitivity from 0.560 to 0.606 (+0.046, 95 % +0.008 to +0.097) without one more "
            "outline; the same steps on outlines alone: 0.528."
        ),
    ),
    "another round stands higher on test": (
        [SUPERVISED, row("round 1", 0.622, 0.01, 0.11), row("round 2", 0.606, 0.008, 0.097)],
        Standing(rounds(True, True, control=False), "round 2"),
        (
            "Two rounds raised mean sensitivity from 0.560 to 0.606 (+0.046, 95 % +0.008 to +0.097) without one more "
            "outline; round 1 has 0.622."
        ),
    ),
    "an earlier round is the result": (
        ISSUE,
        Standing(rounds(True, False), "round 1"),
        (
            "One round raised mean sensitivity from 0.560 to 0.600 (+0.040, 95 % +0.001 to +0.090) without one more "
            "outline; the same steps on outlines alone: 0.540; round 2 has 0.606."
        ),
    ),
    "the round before was not gone on from": (
        ISSUE,
        Standing(rounds(False, True), "round 2"),
        (
            "Round 2 raised mean sensitivity from 0.560 to 0.606 (+0.046, 95 % +0.008 to +0.097) without one more "
            "outline; the same steps on outlines alone: 0.528."
        ),
    ),
    "it may be chance": (
        [SUPERVISED, row("round 1", 0.570, -0.01, 0.03)],
        Standing(rounds(True, control=False), "round 1"),
        (
            "One round moved mean sensitivity from 0.560 to 0.570 (+0.010, 95 % −0.010 to +0.030, which may be chance) "
            "without one more outline."
        ),
    ),
    "chosen on validation, lower on test": (
        [SUPERVISED, row("control 1", 0.58, 0.0, 0.04), row("round 1", 0.520, -0.08, -0.01)],
        Standing(rounds(True), "round 1"),
        (
            "One round lowered mean sensitivity from 0.560 to 0.520 (−0.040, 95 % −0.080 to −0.010) without one more "
            "outline; the same steps on outlines alone did better: 0.580."
        ),
    ),
    "nothing moved": (
        [SUPERVISED, row("round 1", 0.5602, -0.01, 0.01)],
        Standing(rounds(True, control=False), "round 1"),
        "One round left mean sensitivity at 0.560 (+0.000, 95 % −0.010 to +0.010) without one more outline.",
    ),
    "radiologists drew outlines": (
        ISSUE,
        Standing(rounds(True, True), "round 2", num_outlined=3),
        (
            "Two rounds raised mean sensitivity from 0.560 to 0.606 (+0.046, 95 % +0.008 to +0.097) with 3 more images "
            "outlined by radiologists; the same steps on outlines alone: 0.528."
        ),
    ),
    "the rounds did not help": (
        [SUPERVISED, row("round 1", 0.550, -0.05, 0.02)],
        Standing(rounds(True, control=False), "supervised"),
        (
            "The rounds did not help on validation: the supervised model is the result, with a mean sensitivity of "
            "0.560 (95 % 0.500 to 0.620); round 1 has 0.550 (−0.010, 95 % −0.050 to +0.020)."
        ),
    ),
    "the control is the result": (
        ISSUE,
        Standing(rounds(True, True), "control 1"),
        (
            "More training on outlines alone did best on validation: control 1 is the result and moved mean "
            "sensitivity from 0.560 to 0.540 (−0.020, 95 % −0.050 to +0.010, which may be chance); round 2 has "
            "0.606 (+0.046, 95 % +0.008 to +0.097)."
        ),
    ),
    "no interval": (
        [SUPERVISED, row("round 1", 0.606)],
        Standing(rounds(True, control=False), "round 1"),
        "One round moved mean sensitivity from 0.560 to 0.606 (+0.046, without an interval) without one more outline.",
    ),
    "no round": (
        [SUPERVISED],
        Standing((), "supervised"),
        "The supervised model has a mean sensitivity of 0.560 (95 % 0.500 to 0.620); the run has no round.",
    ),
    "the first round is under way": (
        [SUPERVISED],
        Standing(rounds(True)),
        "The supervised model has a mean sensitivity of 0.560 (95 % 0.500 to 0.620); no round is measured yet.",
    ),
    "the second round is under way": (
        ISSUE[:3],
        Standing(rounds(True, True)),
        (
            "So far: one round raised mean sensitivity from 0.560 to 0.600 (+0.040, 95 % +0.001 to +0.090) without one "
            "more outline; the same steps on outlines alone: 0.540."
        ),
    ),
    "the control is under way": (
        [SUPERVISED, row("round 1", 0.600, 0.001, 0.09)],
        Standing(rounds(True)),
        (
            "So far: one round raised mean sensitivity from 0.560 to 0.600 (+0.040, 95 % +0.001 to +0.090) without one "
            "more outline."
        ),
    ),
    "nothing is measured": ([], Standing(), "No model of this run is measured yet."),
    "no lesion on test": (
        [HeadlineRow("supervised", {"1": NAN}, NAN, (NAN, NAN))],
        Standing(rounds(True), "round 1"),
        "The test images show no lesion, so that there is no sensitivity to compare.",
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_the_result_in_one_sentence(case: str) -> None:
    rows, standing, expected = CASES[case]
    assert result_sentence(rows, standing) == expected


@pytest.mark.parametrize("case", CASES)
def test_every_number_of_the_sentence_stands_in_the_table(case: str) -> None:
    rows, standing, _ = CASES[case]
    shown = {
        cell
        for each in rows
        for value in (each.mean, each.difference, *each.interval, *each.difference_interval)
        for cell in (text.share(value), text.signed(value))
    }
    numbers = re.findall(r"[+−]?\d\.\d+", result_sentence(rows, standing))
    assert set(numbers) <= shown
