"""The rule baseline on sentences that are written by hand in radiologists' language.

`sentences.csv` was written without looking at the rules.
"""

import csv
import math
from pathlib import Path

import pytest

from system.records import Side
from system.reports.rules import names_a_side, read_by_rules, sentence_on
from system.reports.text import Sections, language, sections

SENTENCES = list(
    csv.DictReader((Path(__file__).parent / "sentences.csv").read_text(encoding="utf8").splitlines(keepends=True))
)
COLUMNS = {Side.LEFT: "left", Side.RIGHT: "right"}


def answers(text: str) -> tuple[str, str]:
    """Return left and right as in the table: 1, 0, or "" where the text does not mention the breast."""
    found = read_by_rules(sections(text, "", max_chars=4000))
    left, right = ("" if math.isnan(found[side]) else str(int(found[side])) for side in COLUMNS)
    return left, right


def test_the_rules_are_right_about_nine_breasts_in_ten() -> None:
    right = [
        expected == row[name]
        for row in SENTENCES
        for name, expected in zip(COLUMNS.values(), answers(row["text"]), strict=True)
    ]
    assert len(SENTENCES) >= 150
    assert sum(right) / len(right) > 0.9


@pytest.mark.parametrize(
    "trap", ["plain", "negation", "double-side-one-sentence", "as-before-other-side", "bilateral-negative"]
)
def test_the_common_wordings_are_read_without_a_mistake_that_invents_a_mass(trap: str) -> None:
    rows = [row for row in SENTENCES if row["trap"] == trap]
    invented = [
        row["text"]
        for row in rows
        for name, answer in zip(COLUMNS.values(), answers(row["text"]), strict=True)
        if answer == "1" and row[name] != "1"
    ]
    assert rows
    assert not invented


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("左乳见肿块,右乳未见。", ("1", "0")),
        ("No mass or calcification in the left; right shows a mass.", ("0", "1")),
        ("Left breast: dense. There is a 12 mm mass at 3 o'clock.", ("1", "")),
        ("A mass, 5 mm, is seen on the right.", ("", "1")),
        ("右乳原肿块现已消失。", ("", "0")),
        ("左乳肿块不除外。", ("1", "")),
        ("Both breasts are dense. There is a mass.", ("", "")),
        ("No quadrante superior da mama direita há nódulo.", ("", "1")),
        # a negation over a list and over a coordination
        ("No left mass or right mass.", ("0", "0")),
        ("No left mass, right mass, or calcification.", ("0", "0")),
        ("Without mass, calcification or distortion in either breast.", ("0", "0")),
        ("No evidence of left or right breast mass.", ("0", "0")),
        ("Neither left mass nor right mass.", ("0", "0")),
        ("No mass in the left breast or the right breast.", ("0", "0")),
        ("No mass in the left breast and a mass in the right breast.", ("0", "1")),
        ("No mass in the left breast and mass in the right breast.", ("0", "1")),
        ("No left mass but right mass.", ("0", "1")),
        ("Left calcification and mass and right breast normal.", ("1", "0")),
        ("No calcification and a mass in the left breast.", ("1", "")),
        ("Rule out left mass.", ("", "")),
        ("A left mass cannot be ruled out; right mass has been ruled out.", ("1", "0")),
        ("无左乳肿块及右乳肿块。", ("0", "0")),
        ("未见左侧及右侧肿块。", ("0", "0")),
        ("未见左乳或右乳肿块。", ("0", "0")),
        ("左乳未见肿块,但右乳肿块。", ("0", "1")),
        ("Não há nódulo na mama esquerda nem nódulo na mama direita.", ("0", "0")),
        ("Sem nódulo à direita, mas há nódulo à esquerda.", ("1", "0")),
        # sides by abbreviation
        ("R breast: 12 mm mass at 9 o'clock. L breast: negative.", ("0", "1")),
        ("RCC and RMLO: mass. LCC and LMLO: normal.", ("0", "1")),
        ("MD: nódulo de 1,2 cm. ME: sem alterações.", ("0", "1")),
        ("Mass at 10 o'clock (L). Rt. clear.", ("1", "0")),
        ("RUOQ mass, LUOQ normal.", ("0", "1")),
        ("No mass. Jane R. Doe, MD.", ("", "")),
        # both breasts by the plural
        ("The breasts are dense. There are no suspicious masses.", ("0", "0")),
        ("Breast tissue is fatty. No mass is seen.", ("0", "0")),
        ("Breasts: no mass.", ("0", "0")),
        ("Neither breast shows a mass.", ("0", "0")),
        ("The breasts contain multiple cysts.", ("1", "1")),
        ("The breasts are dense with a left mass.", ("1", "")),
        ("Left breast: mass. Breast tissue without calcification.", ("1", "")),
        ("Mamas densas. Não se observam nódulos.", ("0", "0")),
        ("乳腺未见异常。", ("0", "0")),
        ("两乳未见肿块。", ("0", "0")),
        ("乳腺内见一肿块。", ("", "")),
    ],
)
def test_scope_of_sides_and_negations(text: str, expected: tuple[str, str]) -> None:
    assert answers(text) == expected


def test_a_mass_in_either_section_counts() -> None:
    assert read_by_rules(Sections("左乳未见异常。", "左乳可疑肿块。"))[Side.LEFT] == 1


def test_a_report_that_names_no_side_is_recognised() -> None:
    silent = [row["text"] for row in SENTENCES if row["trap"] == "no-side"]
    assert silent
    assert not any(names_a_side(Sections(text, "")) for text in silent)
    naming = [row["text"] for row in SENTENCES if row["left"] or row["right"]]
    missed = [text for text in naming if not names_a_side(Sections(text, ""))]
    assert not missed


def test_the_language_of_the_sentences_is_found() -> None:
    wrong = [
        row["text"]
        for row in SENTENCES
        if row["language"] in ("zh", "en") and language(row["text"]) not in (row["language"], "mixed")
    ]
    assert len(wrong) <= len(SENTENCES) // 50


@pytest.mark.parametrize(
    ("description", "impression", "left", "right"),
    [
        (
            "Left breast dense. A 12 mm mass in the left breast.",
            "Right: negative.",
            "A 12 mm mass in the left breast",
            "Right: negative",
        ),
        ("左乳外上象限见肿块。右乳未见异常。", "BI-RADS 4。", "左乳外上象限见肿块", "右乳未见异常"),
        ("Both breasts without a mass.", "", "Both breasts without a mass", "Both breasts without a mass"),
        ("Nothing is said of a side.", "", "Nothing is said of a side", "Nothing is said of a side"),
        ("", "", "", ""),
    ],
)
def test_the_sentence_quoted_is_about_the_breast(description: str, impression: str, left: str, right: str) -> None:
    report = Sections(description, impression)
    assert (sentence_on(report, Side.LEFT), sentence_on(report, Side.RIGHT)) == (left, right)


@pytest.mark.parametrize("text", ["The breasts are fatty.", "Mamas densas.", "乳腺未见异常。", "L: clear", "MD normal"])
def test_plurals_and_abbreviations_name_a_breast(text: str) -> None:
    assert names_a_side(Sections(text, ""))


@pytest.mark.parametrize("text", ["R/O mass", "No mass. Jane R. Doe, MD.", "乳腺内见一肿块。", "Mass of 2cm左右"])
def test_what_only_looks_like_a_side_names_none(text: str) -> None:
    assert not names_a_side(Sections(text, ""))


@pytest.mark.parametrize(
    "piece",
    ["左肿块", "left mass and ", "no left mass or ", "mass, ", "L ", "LT. ", "除", "a", "mastectomy ", "but left "],
)
def test_the_longest_section_of_one_repeated_piece_is_read(piece: str) -> None:
    """Where the rules look back or on from every place, this takes minutes, or more calls than Python allows."""
    text = (piece * 100_000)[:100_000]
    assert read_by_rules(Sections(text, "")).keys() == set(Side)
