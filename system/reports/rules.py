"""Read a report by keywords alone, taught nothing: the baseline beside which a model shows what it adds.

A report is cut into sentences and clauses. A clause speaks of the sides it names, or else of the one named last. A word for a mass counts
as found unless a negation governs it or the mass is said to be gone; any other word about a breast counts as no mass there.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass

from system.records import Side
from system.reports.rule_words import (
    AND,
    BROKEN_LINE,
    CLAUSE,
    DENIED_AFTER,
    GONE,
    HAN,
    MASS,
    NEGATION,
    NEW_STATEMENT,
    OTHER_FINDING,
    PORTUGUESE,
    READ_FIRST,
    SENTENCE,
    SIDE,
    TAKEN_OUT,
)
from system.reports.text import Sections

_Sides = frozenset[Side]
_BOTH = frozenset(Side)
P_FOUND, P_NONE, P_SILENT = 1.0, 0.0, float("nan")


def read_by_rules(report: Sections) -> dict[Side, float]:
    """Return for each breast 1 where the report says mass, 0 where it says none, NaN where it says nothing of that breast."""
    found: dict[Side, set[bool]] = {side: set() for side in Side}
    for section in (report.description, report.impression):
        for sides, is_mass in _statements(section):
            for side in sides:
                found[side].add(is_mass)
    return {side: P_FOUND if True in said else P_NONE if said else P_SILENT for side, said in found.items()}


def names_a_side(report: Sections) -> bool:
    """Tell whether a report says which breast it speaks of; without that it labels none."""
    return any(SIDE.search(section.lower()) for section in (report.description, report.impression))


def sentence_on(report: Sections, side: Side) -> str:
    """Return the sentence to quote of a report for one breast: one that speaks of a mass there, else one that names it, else the first."""
    sentences = [part.strip() for section in (report.impression, report.description) for part in SENTENCE.split(section) if part.strip()]
    naming = [sentence for sentence in sentences if side in _Reader().sides_of(sentence.lower())]
    return next((sentence for sentence in naming if MASS.search(sentence.lower())), next(iter([*naming, *sentences]), ""))


@dataclass
class _Reader:
    """What a reader of a section keeps in mind between clauses."""

    named: _Sides = frozenset()  # the sides spoken of last

    def sides_of(self, clause: str) -> _Sides:
        """Return the sides a clause names, and remember them."""
        sides: set[Side] = set()
        for mention in SIDE.finditer(clause):
            match mention.lastgroup:
                case "both":
                    sides |= _BOTH
                case "other":
                    sides |= {side.other for side in self.named} if len(self.named) == 1 else set()
                case name:
                    sides.add(Side.LEFT if name == "left" else Side.RIGHT)
        if sides:
            self.named = frozenset(sides)
        return frozenset(sides)


def _statements(text: str) -> Iterator[tuple[_Sides, bool]]:
    """Give what a section says: sides, and whether a mass is there."""
    text = BROKEN_LINE.sub(" ", text.lower())
    for pattern, instead in READ_FIRST:
        text = pattern.sub(instead, text)
    reader = _Reader()
    for sentence in SENTENCE.split(text):
        yield from _said(list(_clauses(sentence)), reader)


def _said(clauses: list[str], reader: "_Reader") -> list[tuple[_Sides, bool]]:
    """Return what a sentence says."""
    said: list[tuple[_Sides, bool]] = []
    if not SIDE.search(clauses[0]) and MASS.search(clauses[0]):  # "a nodule, 5 mm, right": the side comes after
        reader.named = next((sides for clause in clauses if not _mass_in(clause) and (sides := reader.sides_of(clause))), reader.named)
    for clause in clauses:
        sides = reader.sides_of(clause) or reader.named
        mass = _mass_in(clause)
        if mass is None and GONE.search(clause):
            said = [(before, False) for before, _ in said]
        elif mass is not None and not (mass and len(sides) > 1 and not SIDE.search(clause)):
            said.append((sides, mass))
        elif OTHER_FINDING.search(clause):
            said.append((sides, False))
    return said


def _clauses(sentence: str) -> Iterator[str]:
    """Cut a sentence where another statement begins; a list ("no mass, calcification or distortion") stays whole."""
    start, pieces = 0, []
    for cut in CLAUSE.finditer(sentence):
        rest = CLAUSE.split(sentence[cut.end() :], maxsplit=1)[0]
        is_list = cut.group() == "," and not (HAN.search(rest) or SIDE.search(rest) or NEW_STATEMENT.search(rest))
        if not is_list:
            pieces.append(sentence[start : cut.start()])
            start = cut.end()
    for piece in [*pieces, sentence[start:]]:
        yield from _apart(piece)


def _apart(clause: str) -> list[str]:
    """Cut "left nodule and right nodule" in two; "a mass in the left and the right breast" is one statement about both."""
    for start, end in [*(cut.span() for cut in AND.finditer(clause)), *((cut.start(), cut.start()) for cut in SIDE.finditer(clause))]:
        halves = clause[:start], clause[end:]
        if all(SIDE.search(half) and (MASS.search(half) or OTHER_FINDING.search(half)) for half in halves):
            return [halves[0], *_apart(halves[1])]
    return [clause]


def _mass_in(clause: str) -> bool | None:
    """Return True for a mass that is there, False for one that is denied or gone, None where no mass is spoken of."""
    mention = MASS.search(clause)
    if mention is None:
        return None
    before, after = clause[: mention.start()], clause[mention.end() :]
    if PORTUGUESE.search(clause):
        before = re.sub(r"\bno\b", "em", before, flags=re.ASCII)
    return not (NEGATION.search(before) or TAKEN_OUT.search(before) or GONE.search(after) or DENIED_AFTER.search(after))
