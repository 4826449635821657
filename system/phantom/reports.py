"""Dictate the truth of two breasts as a mammography report in Chinese or English.

The text has what misleads a simple report model: negations, hedging, lesions other than masses, a mass that was
removed, one breast unchanged and a mass in the other.
"""

import re
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from system.phantom.phrases import Choices, Phrases
from system.phantom.phrases_en import ENGLISH
from system.phantom.phrases_zh import CHINESE
from system.phantom.truth import BreastTruth, MassShape, MassTruth
from system.records import Side

Language = Literal["zh", "en"]
Truth = dict[Side, BreastTruth]

PHRASES: dict[Language, Phrases] = {"zh": CHINESE, "en": ENGLISH}
CATEGORIES = {  # BI-RADS that a radiologist gives; MassShape -> choices
    MassShape.CIRCUMSCRIBED: ("3", "3", "4A", "0"),
    MassShape.ILL_DEFINED: ("4A", "4B", "4B", "0"),
    MassShape.SPICULATED: ("4C", "5", "4B", "5"),
}
SEVERITY = ("1", "2", "3", "0", "4A", "4B", "4C", "5")  # from normal to almost certainly malignant
MENTION_SHARE = 0.8  # of lesions that are no mass
TOGETHER_SHARE = 0.6  # of reports without a mass that describe both breasts in one sentence
BOTH_SHARE = 0.5  # of reports with masses in both breasts that describe them in one sentence
CONTRAST_SHARE = 0.35  # of reports with a mass in one breast that compare it with the other breast
REMOVED_SHARE = 0.08  # of breasts without a mass that had an operation
HEDGE_SHARE = 0.35  # of breasts with a mass whose impression expresses doubt
FULL_WIDTH_SHARE = 0.1  # of Chinese reports typed with full-width digits
FULL_WIDTH = str.maketrans("0123456789", "０１２３４５６７８９")


@dataclass(frozen=True, slots=True)
class Report:
    """A report's two sections."""

    language: Language
    description: str
    impression: str


def write_report(truth: Truth, *, language: Language, rng: np.random.Generator) -> Report:
    """Return a report of these breasts; one that is missing from `truth` was not imaged and is not mentioned."""
    writer = _Writer(PHRASES[language], rng)
    sides = [side for side in (Side.RIGHT, Side.LEFT) if side in truth]
    if rng.random() < 0.4:
        sides.reverse()
    description = writer.describe(truth, sides)
    impression = writer.conclude(truth, sides)
    if language == "zh" and rng.random() < FULL_WIDTH_SHARE:
        description, impression = description.translate(FULL_WIDTH), impression.translate(FULL_WIDTH)
    return Report(language, description, impression)


def write_sideless(truth: Truth, *, language: Language, rng: np.random.Generator) -> Report:
    """Return a report of these breasts that names neither of them, so that it gives no label for a breast."""
    writer = _Writer(PHRASES[language], rng)
    masses = [mass for breast in truth.values() for mass in breast.masses]
    largest = max(masses, key=lambda mass: mass.diameter_mm) if masses else None
    return Report(language, "", writer.conclude_sideless(largest))


def mistaken_truth(truth: Truth, *, rng: np.random.Generator) -> Truth:
    """Return what a mistaken report describes: a mass omitted, one on the wrong side, or one that does not exist."""
    with_mass = [side for side, breast in truth.items() if breast.masses]
    if not with_mass:
        side = list(truth)[int(rng.integers(len(truth)))]
        shape = list(MassShape)[int(rng.integers(len(MassShape)))]
        invented = MassTruth(shape, float(rng.uniform(6, 25)))
        return {**truth, side: replace(truth[side], masses=(invented,))}
    if len(with_mass) == 1 and len(truth) == 2 and rng.random() < 0.5:
        return {side: replace(breast, masses=truth[side.other].masses) for side, breast in truth.items()}
    return {side: replace(breast, masses=()) for side, breast in truth.items()}


@dataclass(frozen=True, slots=True)
class _Writer:
    """Chooses and fills phrases; keeps no state between reports."""

    phrases: Phrases
    rng: np.random.Generator

    def describe(self, truth: Truth, sides: list[Side]) -> str:
        phrases = self.phrases
        sentences = [self._pick(phrases.opening), self._pick(phrases.densities[truth[sides[0]].density])]
        sentences += self._masses(truth, sides)
        for side in sides:
            sentences += self._other_lesions(truth[side], side)
        return self._join([*sentences, self._pick(phrases.closing)])

    def conclude(self, truth: Truth, sides: list[Side]) -> str:
        phrases = self.phrases
        if len(sides) == 2 and not any(truth[side].masses for side in sides) and self._chance(TOGETHER_SHARE):
            category = max((self._category(truth[side]) for side in sides), key=SEVERITY.index)
            return self._join([self._pick(phrases.concluding_both, category=category)])
        sentences = [self._conclude_side(truth[side], side) for side in sides]
        if any(truth[side].masses for side in sides):
            sentences.append(self._pick(phrases.advice))
        return self._join(sentences)

    def conclude_sideless(self, mass: MassTruth | None) -> str:
        if mass is None:
            return self._join([self._pick(self.phrases.sideless_none)])
        size = self._pick(self.phrases.size, millimetres=f"{mass.diameter_mm:.0f}")
        shape, category = self._pick(self.phrases.shapes[mass.shape]), self._pick(CATEGORIES[mass.shape])
        return self._join([self._pick(self.phrases.sideless_mass, shape=shape, size=size, category=category)])

    def _masses(self, truth: Truth, sides: list[Side]) -> list[str]:
        with_mass = [side for side in sides if truth[side].masses]
        if not with_mass and len(sides) == 2 and self._chance(TOGETHER_SHARE):
            return [self._pick(self.phrases.no_mass_both)]
        if len(with_mass) == 1 and len(sides) == 2 and self._chance(CONTRAST_SHARE):
            first, *rest = truth[with_mass[0]].masses
            compared = [self._mass(self.phrases.mass_unlike_other, first, with_mass[0])]
            return compared + [self._mass(self.phrases.mass, mass, with_mass[0]) for mass in rest]
        if len(with_mass) == 2 and self._chance(BOTH_SHARE):
            largest, side = max(
                ((mass, side) for side in sides for mass in truth[side].masses),
                key=lambda mass_and_side: mass_and_side[0].diameter_mm,
            )
            return [self._mass(self.phrases.mass_both, largest, side)]
        sentences = []
        for side in sides:
            described = [self._mass(self.phrases.mass, mass, side) for mass in truth[side].masses]
            sentences += described or [self._no_mass(side)]
        return sentences

    def _mass(self, templates: Choices, mass: MassTruth, side: Side) -> str:
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

    def _other_lesions(self, breast: BreastTruth, side: Side) -> list[str]:
        phrases = self.phrases
        lesions = (
            (breast.has_calcifications, phrases.calcifications),
            (breast.has_lymph_node, phrases.lymph_node),
            (breast.has_asymmetry, phrases.asymmetry),
        )
        name = self._pick(phrases.sides[side])
        return [
            self._pick(templates, side=name)
            for is_present, templates in lesions
            if is_present and self._chance(MENTION_SHARE)
        ]

    def _conclude_side(self, breast: BreastTruth, side: Side) -> str:
        phrases = self.phrases
        templates = phrases.concluding_side
        region = ""
        if breast.masses:
            templates = phrases.concluding_mass_hedged if self._chance(HEDGE_SHARE) else phrases.concluding_mass
            region = self._pick(phrases.regions[breast.masses[0].region])
        return self._pick(
            templates, side=self._pick(phrases.sides[side]), region=region, category=self._category(breast)
        )

    def _category(self, breast: BreastTruth) -> str:
        if breast.masses:
            return max((self._pick(CATEGORIES[mass.shape]) for mass in breast.masses), key=SEVERITY.index)
        if breast.has_asymmetry:
            return self._pick(("2", "3", "0"))
        return "2" if breast.has_calcifications or breast.has_lymph_node else "1"

    def _chance(self, share: float) -> bool:
        return bool(self.rng.random() < share)

    def _pick(self, templates: Choices, **fields: str) -> str:
        return templates[int(self.rng.integers(len(templates)))].format(**fields)

    def _join(self, sentences: list[str]) -> str:
        return self.phrases.joiner.join(_tidy(sentence) for sentence in sentences if sentence)


def _tidy(sentence: str) -> str:
    """Return the sentence without the gaps of empty fields, and with a capital at its start."""
    sentence = re.sub(r"\s+", " ", sentence).replace(" ,", ",").replace(" .", ".").strip()
    sentence = re.sub(r"[,，]+\s*([.。，,])", r"\1", sentence)
    return sentence[:1].upper() + sentence[1:]
