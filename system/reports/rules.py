"""Read a report by keywords alone, without training: the baseline that a model is compared with.

A report is split into sentences, clauses and parts. A part is about the sides that it names, otherwise about the sides
that were named last. A word for a mass counts as a mass, unless it is negated, or the mass is described as gone, or a
negation reaches it from the part before ("no left mass or right mass"); any other word about a breast counts as no mass
there. The time is that of the text's length.
"""

import re
from bisect import bisect_left
from collections.abc import Iterator
from dataclasses import dataclass

from system.records import Side
from system.report_sides import spelled_out
from system.report_words import (
    ABOUT,
    AND,
    BREAST,
    BROKEN_LINE,
    CLAUSE,
    DENIED_AFTER,
    FOUND_ANEW,
    GONE,
    HAN,
    MASS,
    NEGATION,
    NEW_STATEMENT,
    NO_BREAST,
    OR,
    OTHER_FINDING,
    OWN,
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
    """Return whether a report names a breast, or both in the plural; a report that names none gives no label."""
    named = any(SIDE.search(_readable(section)) for section in (report.description, report.impression))
    return named or any(answer == P_NONE for answer in read_by_rules(report).values())


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
    naming = [sentence for sentence in sentences if side in _State().sides_of(_readable(sentence))]
    return next(
        (sentence for sentence in naming if MASS.search(sentence.lower())), next(iter([*naming, *sentences]), "")
    )


@dataclass
class _State:
    """What is carried from one part of a section to the next."""

    named: _Sides = frozenset()  # the sides that were named last

    def sides_of(self, part: str) -> _Sides:
        """Return the sides that a part names, and keep them as the last ones if there are any."""
        sides: set[Side] = set()
        kinds = {mention.lastgroup for mention in SIDE.finditer(part)}
        if "other" in kinds and len(self.named) == 1:
            sides |= {side.other for side in self.named}
        sides |= {side for side, kind in ((Side.LEFT, "left"), (Side.RIGHT, "right")) if kind in kinds}
        if "both" in kinds or ("all" in kinds and not sides):
            sides |= _BOTH
        if not (sides or self.named) and BREAST.search(part):
            sides |= _BOTH
        if sides:
            self.named = frozenset(sides)
        return frozenset(sides)


@dataclass(frozen=True, slots=True)
class _Part:
    """A piece of a sentence with at most one statement for a side."""

    text: str
    joiner: str  # what stands between it and the part before: a word, a comma, or nothing


def _readable(text: str) -> str:
    """Return the text in the letters that the patterns are written in."""
    return ABOUT.sub("", spelled_out(text).lower())


def _statements(text: str) -> Iterator[tuple[_Sides, bool]]:
    """Yield the statements of a section: sides, and whether a mass is there."""
    text = BROKEN_LINE.sub(" ", _readable(text))
    for pattern, instead in READ_FIRST:
        text = pattern.sub(instead, text)
    state = _State()
    for sentence in SENTENCE.split(text):
        yield from _statements_of(list(_parts(sentence)), state)


def _statements_of(parts: list[_Part], state: _State) -> list[tuple[_Sides, bool]]:
    """Return the statements of one sentence."""
    statements: list[tuple[_Sides, bool]] = []
    if not SIDE.search(parts[0].text):  # "a nodule, 5 mm, right": the side comes after
        state.named = _named_after(parts, state)
    reach = ""
    lists = _open_lists(parts)
    for part, in_list in zip(parts, lists, strict=True):
        sides = state.sides_of(part.text) or state.named
        mass = _mass_in(part.text)
        if mass and _is_reached(part, reach, in_list=in_list):
            mass = False
        else:
            reach = _reach_of(part.text, mass)
        if mass is None and GONE.search(part.text):
            statements = [(before, False) for before, _ in statements]
        elif mass is not None and not (mass and len(sides) > 1 and not SIDE.search(part.text)):
            statements.append((sides, mass))
        elif mass is None and OTHER_FINDING.search(part.text):
            statements.append((sides, False))
    return statements


def _named_after(parts: list[_Part], state: _State) -> _Sides:
    """Return the sides that a finding without a side is about: the first named after it, without a finding there."""
    if MASS.search(parts[0].text):
        rest = [part.text for part in parts if not _mass_in(part.text)]
    elif OTHER_FINDING.search(parts[0].text):
        rest = [part.text for part in parts if not (MASS.search(part.text) or OTHER_FINDING.search(part.text))]
    else:
        return state.named
    return next((sides for text in rest if SIDE.search(text) and (sides := state.sides_of(text))), state.named)


def _open_lists(parts: list[_Part]) -> list[bool]:
    """Return for each part whether a later "or" or "and" closes the list it stands in: "left mass, right mass or …"."""
    closed, found = [], False
    for part in reversed(parts):
        closed.append(found)
        if part.joiner != ",":
            found = bool(AND.fullmatch(part.joiner) or OR.fullmatch(part.joiner))
    return closed[::-1]


def _reach_of(part: str, mass: bool | None) -> str:
    """Return how far the negation of a part reaches: "" nowhere, "or" over an "or", "list" over a whole list.

    Over a list it reaches where it stands before the side, and the side before what is denied: "no left mass and right
    mass"; "no mass in the left breast and mass in the right one" has a mass.
    """
    negation = NEGATION.search(part)
    finding = MASS.search(part) or OTHER_FINDING.search(part)
    if mass or negation is None or finding is None or negation.start() > finding.start():
        return ""
    side = SIDE.search(part, negation.end(), finding.start())
    return "list" if side else "or"


def _is_reached(part: _Part, reach: str, *, in_list: bool) -> bool:
    """Return whether a negation of the part before denies the mass of this part too."""
    if not reach:
        return False
    if OR.fullmatch(part.joiner):
        return not FOUND_ANEW.search(part.text)
    if OWN.search(part.text) or reach != "list":
        return False
    return (
        bool(AND.fullmatch(part.joiner))
        or not part.joiner
        or (part.joiner == "," and (in_list or OR.search(part.text) is not None))
    )


def _parts(sentence: str) -> Iterator[_Part]:
    """Split a sentence where another statement begins; a list ("no mass, calcification or distortion") stays whole."""
    start, joiner, cuts = 0, "", [cut.span() for cut in CLAUSE.finditer(sentence)]
    ends = [begin for begin, _ in cuts[1:]] + [len(sentence)]
    for (begin, end), rest_end in zip(cuts, ends[: len(cuts)], strict=True):
        rest = sentence[end:rest_end]
        is_list = sentence[begin:end] == "," and not (
            HAN.search(rest) or SIDE.search(rest) or NEW_STATEMENT.search(rest)
        )
        if not is_list:
            yield from _split_sides(sentence[start:begin], joiner)
            start, joiner = end, sentence[begin:end]
    yield from _split_sides(sentence[start:], joiner)


def _split_sides(clause: str, joiner: str) -> Iterator[_Part]:
    """Split a clause with a statement for each side.

    "left nodule and right nodule" becomes two parts; "a mass in the left and the right breast" is one statement about
    both and stays whole.
    """
    clause = NO_BREAST.split(clause)[-1]
    sides = [found.span() for found in SIDE.finditer(clause)]
    findings = sorted(found.span() for pattern in (MASS, OTHER_FINDING) for found in pattern.finditer(clause))
    joints = sorted(found.span() for pattern in (AND, OR) for found in pattern.finditer(clause))
    start = 0
    for begin, end in sorted([*joints, *((side, side) for side, _ in sides)]):
        if begin < start:
            continue
        behind = all(places and places[-1][0] >= end for places in (sides, findings))
        if behind and all(_lies_in(places, start, begin) for places in (sides, findings)):
            first_side, first_finding = (places[bisect_left(places, (start, 0))][0] for places in (sides, findings))
            if first_side < first_finding and _another_joint(joints, sides, end):
                continue  # "left calcification and mass and right …": the last "and" before the next side
            yield _Part(clause[start:begin], joiner)
            start, joiner = end, clause[begin:end]
    yield _Part(clause[start:], joiner)


def _lies_in(places: list[tuple[int, int]], start: int, end: int) -> bool:
    """Return whether the first of the sorted places from `start` on ends before `end`."""
    at = bisect_left(places, (start, 0))
    return at < len(places) and places[at][1] <= end


def _another_joint(joints: list[tuple[int, int]], sides: list[tuple[int, int]], at: int) -> bool:
    """Return whether a joint follows before the next side."""
    joint, side = bisect_left(joints, (at, 0)), bisect_left(sides, (at, 0))
    return joint < len(joints) and side < len(sides) and joints[joint][0] < sides[side][0]


def _mass_in(part: str) -> bool | None:
    """Return True for a mass that is there, False for one that is negated or gone, None where no mass is mentioned."""
    mention = MASS.search(part)
    if mention is None:
        return None
    before, after = part[: mention.start()], part[mention.end() :]
    if PORTUGUESE.search(part):
        before = re.sub(r"\bno\b", "em", before, flags=re.ASCII)
    before = FOUND_ANEW.split(before)[-1]
    return not (NEGATION.search(before) or TAKEN_OUT.search(before) or GONE.search(after) or DENIED_AFTER.search(after))
