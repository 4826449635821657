"""The content of a dictated report, compared with the truth it was given."""

import re
from collections.abc import Iterable

import numpy as np
import pytest

from system.phantom import (
    BreastTruth,
    MassShape,
    MassTruth,
    PhantomConfig,
    Region,
    Report,
    make_exam,
    mistaken_truth,
    write_report,
    write_sideless,
)
from system.phantom.phrases_en import ENGLISH
from system.phantom.phrases_zh import CHINESE
from system.phantom.reports import Language
from system.records import Side
from system.reports.rules import names_a_side
from system.reports.text import Sections

MASS = MassTruth(MassShape.SPICULATED, 14.0, Region.UPPER_OUTER)
CLEAR = BreastTruth()
SICK = BreastTruth(masses=(MASS,))
NEGATION = {
    "en": re.compile(r"\b(no|not|without|negative|neither|unremarkable|removed|excision|resolves)\b", re.I),
    "zh": re.compile(r"未|无|除"),
}
SIDE_WORD = {("en", Side.LEFT): "left", ("en", Side.RIGHT): "right", ("zh", Side.LEFT): "左", ("zh", Side.RIGHT): "右"}
LANGUAGES = pytest.mark.parametrize("language", ["en", "zh"])


def many(truth: dict[Side, BreastTruth], language: Language, num: int = 200) -> list[Report]:
    return [write_report(truth, language=language, rng=np.random.default_rng([4, at])) for at in range(num)]


def sentences(text: str, language: Language) -> list[str]:
    return [part for part in re.split(r"(?<=。)" if language == "zh" else r"(?<=\.) ", text) if part]


@LANGUAGES
@pytest.mark.parametrize("side", list(Side))
def test_a_mass_is_described_on_its_own_side_with_its_size(language: Language, side: Side) -> None:
    for report in many({side: SICK, side.other: CLEAR}, language):
        text = report.description.translate(str.maketrans("０１２３４５６７８９", "0123456789"))
        measured = [part for part in sentences(text, language) if "14" in part]
        assert len(measured) == 1
        assert SIDE_WORD[language, side] in measured[0].lower()


@LANGUAGES
@pytest.mark.parametrize("side", list(Side))
def test_the_impression_names_a_suspicious_category_for_the_breast_with_the_mass_alone(
    language: Language, side: Side
) -> None:
    for report in many({side: SICK, side.other: CLEAR}, language):
        lines = [part for part in re.split(r"[。.]\s*", report.impression.lower()) if part]
        text = report.impression.lower().translate(str.maketrans("０１２３４５６７８９", "0123456789"))
        assert re.search(r"4b|4c|5", text)
        assert any(SIDE_WORD[language, side] in line for line in lines)
        assert re.search(r"bi-rads\s*(?:category)?[ :：]*1", text)


@LANGUAGES
def test_a_report_without_masses_negates_and_measures_nothing(language: Language) -> None:
    for report in many({Side.LEFT: CLEAR, Side.RIGHT: CLEAR}, language):
        assert NEGATION[language].search(report.description)
        assert not re.search(r"\d+\s*(mm|毫米)", report.description)
        assert not re.search(r"4A|4B|4C|5", report.impression)


@LANGUAGES
def test_masses_on_both_sides_are_described_one_by_one_or_together(language: Language) -> None:
    together = {
        "en": re.compile("bilateral masses|both breasts", re.I),
        "zh": re.compile("双乳见多发|均见肿块|两侧乳腺内可见"),
    }[language]
    reports = many({Side.LEFT: SICK, Side.RIGHT: SICK}, language, num=60)
    measured = [
        report.description.translate(str.maketrans("０１２３４５６７８９", "0123456789")).count("14")
        for report in reports
    ]
    assert set(measured) == {1, 2}
    assert all(
        together.search(report.description) for report, count in zip(reports, measured, strict=True) if count == 1
    )


@LANGUAGES
def test_a_breast_that_was_not_imaged_is_not_mentioned(language: Language) -> None:
    for report in many({Side.LEFT: SICK}, language, num=60):
        fixed = (
            *(text for texts in PHRASES_OF[language].densities.values() for text in texts),
            *PHRASES_OF[language].closing,
        )
        assert SIDE_WORD[language, Side.RIGHT] not in _without(report.description, fixed).lower()


PHRASES_OF = {"en": ENGLISH, "zh": CHINESE}


def _without(text: str, phrases: Iterable[str]) -> str:
    for phrase in phrases:
        text = text.replace(phrase, "") if phrase else text
    return text


@LANGUAGES
def test_an_unchanged_breast_beside_one_with_a_mass_occurs(language: Language) -> None:
    texts = [report.description for report in many({Side.RIGHT: SICK, Side.LEFT: CLEAR}, language)]
    word = {
        "en": re.compile(r"left (breast|side) (as before|is unchanged); |left (breast|side) as before, ", re.I),
        "zh": re.compile(r"左[乳侧腺]+(较前无明显变化|同前)，右"),
    }
    assert sum(bool(word[language].search(text)) for text in texts) >= 5


@LANGUAGES
def test_wording_varies(language: Language) -> None:
    assert len({report.description for report in many({Side.LEFT: SICK, Side.RIGHT: CLEAR}, language)}) > 150


@LANGUAGES
def test_other_lesions_are_mentioned_without_becoming_a_mass(language: Language) -> None:
    breast = BreastTruth(has_calcifications=True, has_lymph_node=True, has_asymmetry=True)
    texts = [report.description for report in many({Side.LEFT: breast, Side.RIGHT: CLEAR}, language)]
    words = {"en": ("calcification", "lymph node", "symmetr"), "zh": ("钙化", "淋巴结", "不对称")}[language]
    assert all(sum(word in text for text in texts) > 80 for word in words)
    assert not any(re.search(r"\d+\s*(mm|毫米)", text) for text in texts)


@LANGUAGES
def test_unknown_place_and_size_leave_no_gaps(language: Language) -> None:
    unknown = BreastTruth(masses=(MassTruth(MassShape.ILL_DEFINED, 0.0),))
    for report in many({Side.LEFT: unknown, Side.RIGHT: CLEAR}, language):
        text = report.description + report.impression
        assert not re.search(r"  | ,| \.|[,，][.。,，]|[{}]", text), text


@LANGUAGES
def test_a_sideless_report_names_its_largest_mass_and_no_side(language: Language) -> None:
    small = MassTruth(MassShape.CIRCUMSCRIBED, 6.0)
    for truth, is_mentioned in (
        ({Side.LEFT: BreastTruth(masses=(small, MASS)), Side.RIGHT: CLEAR}, True),
        ({Side.LEFT: CLEAR}, False),
    ):
        for at in range(50):
            report = write_sideless(truth, language=language, rng=np.random.default_rng(at))
            assert ("14" in report.impression) is is_mentioned
            assert not names_a_side(Sections(report.description, report.impression))


def test_the_same_generator_state_writes_the_same_report() -> None:
    first, second = (write_report({Side.LEFT: SICK}, language="zh", rng=np.random.default_rng(1)) for _ in range(2))
    assert first == second


def test_a_mistaken_report_leaves_out_or_swaps_a_mass() -> None:
    truth = {Side.LEFT: SICK, Side.RIGHT: CLEAR}
    described = [mistaken_truth(truth, rng=np.random.default_rng([1, at])) for at in range(200)]
    swapped = sum(bool(each[Side.RIGHT].masses) and not each[Side.LEFT].masses for each in described)
    omitted = sum(not each[Side.RIGHT].masses and not each[Side.LEFT].masses for each in described)
    assert swapped + omitted == 200
    assert 70 <= swapped <= 130


def test_a_mistaken_report_of_healthy_breasts_invents_one_mass() -> None:
    truth = {Side.LEFT: CLEAR, Side.RIGHT: CLEAR}
    described = [mistaken_truth(truth, rng=np.random.default_rng([1, at])) for at in range(50)]
    assert all(sum(len(breast.masses) for breast in each.values()) == 1 for each in described)
    assert {side for each in described for side in Side if each[side].masses} == set(Side)


def test_wrong_reports_come_in_the_configured_share(monkeypatch: pytest.MonkeyPatch) -> None:
    described = []
    monkeypatch.setattr("system.phantom.exam.write_report", lambda truth, **_: described.append(truth))
    config = PhantomConfig(height_px=64, width_px=48, wrong_report_share=0.3)
    exams = [make_exam(index, 2, config) for index in range(150)]
    wrong = sum(exam.truth != truth for exam, truth in zip(exams, described, strict=True))
    assert 27 <= wrong <= 63  # 45 expected, three standard deviations
