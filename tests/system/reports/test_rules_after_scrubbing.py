"""What the rules read of a report is the same before and after its identities are taken out."""

import math
import re

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from system.archive.scrub import scrub
from system.phantom import BreastTruth, MassShape, MassTruth, write_report
from system.records import Side
from system.reports.rules import read_by_rules
from system.reports.text import mirrored, sections

MASS = BreastTruth(masses=(MassTruth(MassShape.SPICULATED, 14.0),))
CLEAR = BreastTruth(has_calcifications=True)
PORTUGUESE = [
    "Nódulo na mama esquerda. Mama direita sem alterações.",
    "MD: nódulo de 9 mm. ME: sem nódulos.",
    "Mamas densas. Não se observam nódulos.",
    "Sem nódulo à esquerda ou à direita.",
]
ENGLISH = [
    "No left mass or right mass.",
    "L breast: 8 mm mass. R breast: negative.",
    "The breasts are fatty. No mass.",
    "RMLO and RCC: mass. LUOQ calcifications.",
]
CHINESE = ["无左乳肿块及右乳肿块。", "L乳肿块，R乳未见异常。", "左见肿块。右侧未见。", "乳腺未见异常。"]
# what is written, and what of it must not stay; some have nothing to take out
LATIN_IDENTITIES = [
    ("Patient: Jane Doe.", "Jane Doe"),
    ("Patient:", ""),
    ("Name: jane doe.", "jane doe"),
    ("Dr. R. Smith", "R. Smith"),
    ("Radiologist: L. Chen.", "Chen"),
    ("Signed by: Maria O'Neill, MD.", "O'Neill"),
    ("Jane L. Doe, MD.", "Jane L. Doe"),
    ("PATIENT: JANE DOE", "JANE DOE"),
    ("MRN: A-12345678", "12345678"),
    ("DOE^JANE", "DOE"),
    ("DOB 03/05/1960.", "03/05/1960"),
    ("Compared with 5 March 2021.", "5 March 2021"),
    ("Tel 617-555-0123.", "555"),
    ("jane.doe@mail.example.org", "jane.doe"),
    ("Address: 12 High Street, Springfield.", "High Street"),
    ("Paciente: Ana Conceição.", "Ana Conceição"),
    ("Médica: Dra. Márcia Exemplo, CRM 00000.", "Exemplo"),
    ("CPF 000.000.001-91", "000.001-91"),
    ("Prontuário 000123", "000123"),
]
HAN_IDENTITIES = [
    ("患者:王小明,", "王小明"),
    ("患者：", ""),
    ("姓名王小明性别女,", "王小明"),
    ("诊断医师:", ""),
    ("报告医师 张伟。", "张伟"),
    ("审核医师：欧阳娜娜 ", "欧阳娜娜"),
    ("住院号:A0012345", "A0012345"),
    ("身份证号110101196001011234,", "110101196001011234"),
    ("电话13812345678。", "13812345678"),
    ("2021年3月5日。", "2021年3月5日"),
]


def answers(text: str) -> tuple[str, ...]:
    found = read_by_rules(sections(text, "", max_chars=100_000))
    return tuple("" if math.isnan(found[side]) else str(int(found[side])) for side in Side)


def phantom_texts(language: str) -> list[str]:
    truths = [{Side.LEFT: left, Side.RIGHT: right} for left in (MASS, CLEAR) for right in (MASS, CLEAR)]
    reports = [
        write_report(truth, language="zh" if language == "zh" else "en", rng=np.random.default_rng([9, seed]))
        for truth in truths
        for seed in range(15)
    ]
    return [f"{report.description}\n{report.impression}" for report in reports]


REPORTS = {
    "latin": ([*ENGLISH, *PORTUGUESE, *phantom_texts("en")], LATIN_IDENTITIES, r"(?<=\. )|(?<=\n)|^|$"),
    "han": ([*CHINESE, *phantom_texts("zh")], HAN_IDENTITIES, r"(?<=[。\n])|^"),
}


@st.composite
def reports_with_identities(draw: st.DrawFn) -> tuple[str, str, list[str]]:
    """A report, the same with one to three identities where sentences begin, and what must not stay."""
    texts, identities, places = REPORTS[draw(st.sampled_from(sorted(REPORTS)))]
    text = draw(st.sampled_from(texts))
    cuts = sorted({found.start() for found in re.finditer(places, text)})
    chosen = draw(st.lists(st.tuples(st.sampled_from(cuts), st.sampled_from(identities)), min_size=1, max_size=3))
    injected = text
    for place, (written, _) in sorted(chosen, key=lambda pair: -pair[0]):
        injected = f"{injected[:place]}{written} {injected[place:]}"
    return text, injected, [identity for _, (_, identity) in chosen if identity]


@given(reports_with_identities())
@settings(max_examples=400, deadline=None)
def test_findings_survive_wherever_identities_stand_and_the_identities_do_not(case: tuple[str, str, list[str]]) -> None:
    text, injected, identities = case
    clean = scrub(injected, shift_days=-30)
    assert answers(clean) == answers(injected) == answers(text)
    assert not [identity for identity in identities if identity in clean]


@given(reports_with_identities())
@settings(max_examples=200, deadline=None)
def test_a_mirrored_report_is_read_mirrored(case: tuple[str, str, list[str]]) -> None:
    report = sections(case[0], "", max_chars=100_000)
    as_is, turned = read_by_rules(report), read_by_rules(mirrored(report))
    assert {side.other: str(found) for side, found in as_is.items()} == {
        side: str(found) for side, found in turned.items()
    }


def test_a_label_directly_before_a_finding_takes_nothing() -> None:
    for text in (
        "患者:左乳肿块。",
        "患者:右乳外上肿块,",
        "诊断医师:左乳癌可能",
        "患者:双乳未见异常",
        "Patient: Left breast mass.",
        "PATIENT: RIGHT BREAST MASS, BI-RADS 5.",
        "Radiologist: Small left mass.",
        "Patient: R breast mass",
        "Name: No left mass or right mass",
        "Dr. Left Mass",
        "Paciente: Mama esquerda com nódulo.",
        "Médico: Nódulo à direita",
        "Reported by: Impression: left mass",
    ):
        assert scrub(text, shift_days=-30) == text
