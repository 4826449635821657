"""Read a report by keywords alone, without training: the baseline that a model is compared with.

A report is split into sentences and clauses. A clause is about the sides that it names, otherwise about the sides that
were named last. A word for a mass counts as a mass, unless it is negated or the mass is described as gone; any other
word about a breast counts as no mass there.
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
    """Return for each breast 1 where the report has a mass, 0 where it has none, NaN where it does not mention it."""
    statements: dict[Side, set[bool]] = {side: set() for side in Side}
    for section in (report.description, report.impression):
        for sides, is_mass in _statements(section):
            for side in sides:
                statements[side].add(is_mass)
    return {side: P_FOUND if True in masses else P_NONE if masses else P_SILENT for side, masses in statements.items()}


def names_a_side(report: Sections) -> bool:
    """Return whether a report names a breast; a report that names none gives no label."""
    return any(SIDE.search(section.lower()) for section in (report.description, report.impression))


def sentence_on(report: Sections, side: Side) -> str:
    """Return the sentence to quote of a report for one breast.

    The first choice is a sentence that names the breast and mentions a mass, then one that names the breast, then the
    first sentence. The impression is searched before the description.
    """
    sentences = [
        part.strip()
        for section in (report.impression, report.description)
        for part in SENTENCE.split(section)
        if part.strip()
    ]
    naming = [sentence for sentence in sentences if side in _State().sides_of(sentence.lower())]
    return next(
        (sentence for sentence in naming if MASS.search(sentence.lower())), next(iter([*naming, *sentences]), "")
    )


@dataclass
class _State:
    """What is carried from one clause of a section to the next."""

    named: _Sides = frozenset()  # the sides that were named last

    def sides_of(self, clause: str) -> _Sides:
        """Return the sides that a clause names, and keep them as the last ones if there are any."""
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
    """Yield the statements of a section: sides, and whether a mass is there."""
    text = BROKEN_LINE.sub(" ", text.lower())
    for pattern, instead in READ_FIRST:
        text = pattern.sub(instead, text)
    state = _State()
    for sentence in SENTENCE.split(text):
        yield from _statements_of(list(_clauses(sentence)), state)


def _statements_of(clauses: list[str], state: _State) -> list[tuple[_Sides, bool]]:
    """Return the statements of one sentence."""
    statements: list[tuple[_Sides, bool]] = []
    if not SIDE.search(clauses[0]) and MASS.search(clauses[0]):  # "a nodule, 5 mm, right": the side comes after
        state.named = next(
            (sides for clause in clauses if not _mass_in(clause) and (sides := state.sides_of(clause))), state.named
        )
    for clause in clauses:
        sides = state.sides_of(clause) or state.named
        mass = _mass_in(clause)
        if mass is None and GONE.search(clause):
            statements = [(before, False) for before, _ in statements]
        elif mass is not None and not (mass and len(sides) > 1 and not SIDE.search(clause)):
            statements.append((sides, mass))
        elif OTHER_FINDING.search(clause):
            statements.append((sides, False))
    return statements


def _clauses(sentence: str) -> Iterator[str]:
    """Split a sentence where another statement begins; a list ("no mass, calcification or distortion") stays whole."""
    start, pieces = 0, []
    for cut in CLAUSE.finditer(sentence):
        rest = CLAUSE.split(sentence[cut.end() :], maxsplit=1)[0]
        is_list = cut.group() == "," and not (HAN.search(rest) or SIDE.search(rest) or NEW_STATEMENT.search(rest))
        if not is_list:
            pieces.append(sentence[start : cut.start()])
            start = cut.end()
    for piece in [*pieces, sentence[start:]]:
        yield from _split_sides(piece)


def _split_sides(clause: str) -> list[str]:
    """Split a clause with a statement for each side.

    "left nodule and right nodule" becomes two clauses; "a mass in the left and the right breast" is one statement about
    both and stays whole.
    """
    for start, end in [
        *(cut.span() for cut in AND.finditer(clause)),
        *((cut.start(), cut.start()) for cut in SIDE.finditer(clause)),
    ]:
        halves = clause[:start], clause[end:]
        if all(SIDE.search(half) and (MASS.search(half) or OTHER_FINDING.search(half)) for half in halves):
            return [halves[0], *_split_sides(halves[1])]
    return [clause]


def _mass_in(clause: str) -> bool | None:
    """Return True for a mass that is there, False for one that is negated or gone, None where no mass is mentioned."""
    mention = MASS.search(clause)
    if mention is None:
        return None
    before, after = clause[: mention.start()], clause[mention.end() :]
    if PORTUGUESE.search(clause):
        before = re.sub(r"\bno\b", "em", before, flags=re.ASCII)
    return not (NEGATION.search(before) or TAKEN_OUT.search(before) or GONE.search(after) or DENIED_AFTER.search(after))
