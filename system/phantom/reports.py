"""Dictate findings as a mammography report in Chinese or English, with the turns that mislead a naive reader.

Negations, hedging, other findings, a mass that was removed, one breast as before and a mass in the other.
"""

import re
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from system.phantom.findings import BreastFinding, MassFinding, MassShape
from system.phantom.phrases import Choices, Phrases
from system.phantom.phrases_en import ENGLISH
from system.phantom.phrases_zh import CHINESE
from system.records import Side

Language = Literal["zh", "en"]
Findings = dict[Side, BreastFinding]

PHRASES: dict[Language, Phrases] = {"zh": CHINESE, "en": ENGLISH}
CATEGORIES = {  # BI-RADS a reader gives; MassShape -> choices
    MassShape.CIRCUMSCRIBED: ("3", "3", "4A", "0"),
    MassShape.ILL_DEFINED: ("4A", "4B", "4B", "0"),
    MassShape.SPICULATED: ("4C", "5", "4B", "5"),
}
SEVERITY = ("1", "2", "3", "0", "4A", "4B", "4C", "5")  # from nothing to near certain
MENTION_SHARE = 0.8  # of minor findings
TOGETHER_SHARE = 0.6  # of reports without a mass that speak of both breasts at once
BOTH_SHARE = 0.5  # of masses in both breasts told together
CONTRAST_SHARE = 0.35  # of one-sided masses told against the other breast
REMOVED_SHARE = 0.08  # of mass-free breasts with an operation behind them
HEDGE_SHARE = 0.35  # of masses concluded with a doubt
FULL_WIDTH_SHARE = 0.1  # of Chinese reports typed with full-width digits
FULL_WIDTH = str.maketrans("0123456789", "０１２３４５６７８９")


@dataclass(frozen=True, slots=True)
class Report:
    """A report's two sections."""

    language: Language
    description: str
    impression: str


def write_report(findings: Findings, *, language: Language, rng: np.random.Generator) -> Report:
    """Return a report of these breasts; one that is missing from `findings` was not imaged and is not mentioned."""
    writer = _Writer(PHRASES[language], rng)
    sides = [side for side in (Side.RIGHT, Side.LEFT) if side in findings]
    if rng.random() < 0.4:
        sides.reverse()
    description = writer.describe(findings, sides)
    impression = writer.conclude(findings, sides)
    if language == "zh" and rng.random() < FULL_WIDTH_SHARE:
        description, impression = description.translate(FULL_WIDTH), impression.translate(FULL_WIDTH)
    return Report(language, description, impression)


def write_sideless(findings: Findings, *, language: Language, rng: np.random.Generator) -> Report:
    """Return a report of these breasts that never says which of them it speaks of: no label can be had from it."""
    writer = _Writer(PHRASES[language], rng)
    masses = [mass for finding in findings.values() for mass in finding.masses]
    return Report(language, "", writer.conclude_sideless(max(masses, key=lambda mass: mass.diameter_mm) if masses else None))


def mistaken_findings(findings: Findings, *, rng: np.random.Generator) -> Findings:
    """Return what a mistaken report speaks of: a mass left out, one on the wrong side, or one that is not there."""
    with_mass = [side for side, finding in findings.items() if finding.masses]
    if not with_mass:
        side = list(findings)[int(rng.integers(len(findings)))]
        shape = list(MassShape)[int(rng.integers(len(MassShape)))]
        invented = MassFinding(shape, float(rng.uniform(6, 25)))
        return {**findings, side: replace(findings[side], masses=(invented,))}
    if len(with_mass) == 1 and len(findings) == 2 and rng.random() < 0.5:
        return {side: replace(finding, masses=findings[side.other].masses) for side, finding in findings.items()}
    return {side: replace(finding, masses=()) for side, finding in findings.items()}


@dataclass(frozen=True, slots=True)
class _Writer:
    """Chooses words; keeps nothing between reports."""

    phrases: Phrases
    rng: np.random.Generator

    def describe(self, findings: Findings, sides: list[Side]) -> str:
        phrases = self.phrases
        sentences = [self._pick(phrases.opening), self._pick(phrases.densities[findings[sides[0]].density])]
        sentences += self._masses(findings, sides)
        for side in sides:
            sentences += self._minor(findings[side], side)
        return self._join([*sentences, self._pick(phrases.closing)])

    def conclude(self, findings: Findings, sides: list[Side]) -> str:
        phrases = self.phrases
        if len(sides) == 2 and not any(findings[side].masses for side in sides) and self._chance(TOGETHER_SHARE):
            category = max((self._category(findings[side]) for side in sides), key=SEVERITY.index)
            return self._join([self._pick(phrases.concluding_both, category=category)])
        sentences = [self._conclude_side(findings[side], side) for side in sides]
        if any(findings[side].masses for side in sides):
            sentences.append(self._pick(phrases.advice))
        return self._join(sentences)

    def conclude_sideless(self, mass: MassFinding | None) -> str:
        if mass is None:
            return self._join([self._pick(self.phrases.sideless_none)])
        size = self._pick(self.phrases.size, millimetres=f"{mass.diameter_mm:.0f}")
        shape, category = self._pick(self.phrases.shapes[mass.shape]), self._pick(CATEGORIES[mass.shape])
        return self._join([self._pick(self.phrases.sideless_mass, shape=shape, size=size, category=category)])

    def _masses(self, findings: Findings, sides: list[Side]) -> list[str]:
        with_mass = [side for side in sides if findings[side].masses]
        if not with_mass and len(sides) == 2 and self._chance(TOGETHER_SHARE):
            return [self._pick(self.phrases.no_mass_both)]
        if len(with_mass) == 1 and len(sides) == 2 and self._chance(CONTRAST_SHARE):
            first, *rest = findings[with_mass[0]].masses
            told = [self._mass(self.phrases.mass_unlike_other, first, with_mass[0])]
            return told + [self._mass(self.phrases.mass, mass, with_mass[0]) for mass in rest]
        if len(with_mass) == 2 and self._chance(BOTH_SHARE):
            largest, side = max(((mass, side) for side in sides for mass in findings[side].masses), key=lambda found: found[0].diameter_mm)
            return [self._mass(self.phrases.mass_both, largest, side)]
        sentences = []
        for side in sides:
            told = [self._mass(self.phrases.mass, mass, side) for mass in findings[side].masses]
            sentences += told or [self._no_mass(side)]
        return sentences

    def _mass(self, templates: Choices, mass: MassFinding, side: Side) -> str:
        phrases = self.phrases
        size = self._pick(phrases.size, millimetres=f"{mass.diameter_mm:.0f}") if mass.diameter_mm else ""
        return self._pick(
            templates,
            side=self._pick(phrases.sides[side]),
            other=self._pick(phrases.sides[side.other]),
            region=self._pick(phrases.regions[mass.region]),
            shape=self._pick(phrases.shapes[mass.shape]),
            size=size,
        )

    def _no_mass(self, side: Side) -> str:
        templates = self.phrases.mass_removed if self._chance(REMOVED_SHARE) else self.phrases.no_mass
        return self._pick(templates, side=self._pick(self.phrases.sides[side]))

    def _minor(self, finding: BreastFinding, side: Side) -> list[str]:
        phrases = self.phrases
        found = (
            (finding.has_calcifications, phrases.calcifications),
            (finding.has_lymph_node, phrases.lymph_node),
            (finding.has_asymmetry, phrases.asymmetry),
        )
        name = self._pick(phrases.sides[side])
        return [self._pick(templates, side=name) for is_there, templates in found if is_there and self._chance(MENTION_SHARE)]

    def _conclude_side(self, finding: BreastFinding, side: Side) -> str:
        phrases = self.phrases
        templates = phrases.concluding_side
        region = ""
        if finding.masses:
            templates = phrases.concluding_mass_hedged if self._chance(HEDGE_SHARE) else phrases.concluding_mass
            region = self._pick(phrases.regions[finding.masses[0].region])
        return self._pick(templates, side=self._pick(phrases.sides[side]), region=region, category=self._category(finding))

    def _category(self, finding: BreastFinding) -> str:
        if finding.masses:
            return max((self._pick(CATEGORIES[mass.shape]) for mass in finding.masses), key=SEVERITY.index)
        if finding.has_asymmetry:
            return self._pick(("2", "3", "0"))
        return "2" if finding.has_calcifications or finding.has_lymph_node else "1"

    def _chance(self, share: float) -> bool:
        return bool(self.rng.random() < share)

    def _pick(self, templates: Choices, **words: str) -> str:
        return templates[int(self.rng.integers(len(templates)))].format(**words)

    def _join(self, sentences: list[str]) -> str:
        return self.phrases.joiner.join(_tidy(sentence) for sentence in sentences if sentence)


def _tidy(sentence: str) -> str:
    """Close the gaps that absent words left; an English sentence starts with a capital."""
    sentence = re.sub(r"\s+", " ", sentence).replace(" ,", ",").replace(" .", ".").strip()
    sentence = re.sub(r"[,，]+\s*([.。，,])", r"\1", sentence)
    return sentence[:1].upper() + sentence[1:]
