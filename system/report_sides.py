"""Find the words for one breast in a report: spelled out, abbreviated, or a letter before a view or a quadrant.

English, Chinese and Portuguese: left, Lt., L breast, (R), LMLO, RUOQ, L3:00; 左, 右; esquerda, mama D, ME. What decides
whether a letter stands for a side never depends on which side it is, so a text with the sides exchanged has the same
mentions in the same places.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass

from system.records import Side
from system.report_vocabulary import is_report_word
from system.report_words import ABOUT, PORTUGUESE

_LETTER = r"A-Za-zÀ-ÖØ-öø-ɏ"
_IN_WORD = rf"[{_LETTER}0-9_'’]"
_START, _END = rf"(?<!{_IN_WORD})", rf"(?!{_IN_WORD})"
_WORDS = {"left": "right", "lft": "rgt", "esquerd": "direit", "esq": "dir"}
_OTHER = _WORDS | {right: left for left, right in _WORDS.items()}
_OTHER |= {"l": "r", "r": "l", "d": "e", "e": "d", "左": "右", "右": "左"}
_LEFT = frozenset({*_WORDS, "l", "e", "左"})
_VIEW = r"(?:XCC[LM]?|CC|MLO|ML|LM|SIO)(?:OS)?"
_QUADRANT = r"[UL](?:[OI]Q|Q)"
_SIDE = re.compile(
    rf"(?P<han>[左右])"
    rf"|{_START}(?P<word>left|right)(?=(?:sided|ward|most)?{_END})"
    r"(?! (?:in (?:place|situ)|untreated|alone|over|behind)\b)"
    rf"|{_START}(?P<short>lft|rgt|esq|dir){_END}"
    rf"|{_START}(?P<gendered>esquerd|direit)(?=[oa]s?{_END})"
    rf"|{_START}(?P<breast>M(?P<of_breast>[DE])){_END}"
    rf"|(?:(?<=\bmama )|(?<=\baxila )|(?<=\blado ))(?P<after_breast>(?-i:[DE])){_END}"
    rf"|{_START}(?<![A-KM-QS-Z]/)(?<!\d )(?P<letter>[LR])(?P<tail>[TB]){_END}"
    rf"|{_START}(?P<prefix>[LR])(?=(?:{_VIEW}|{_QUADRANT}){_END}|\d{{1,2}}(?::\d\d|N\d))"
    rf"|{_START}(?<![A-KM-QS-Z]/)(?P<alone>[LR]){_END}(?!/[OT]\b)"
    r"(?!-(?!sided|side|breast|br\b|mlo|cc|ml\b|lm\b|axill|upper|lower)[A-Z])(?!&(?![LR]\b))",
    re.IGNORECASE | re.ASCII,
)
_GROUPS = ("han", "word", "short", "gendered", "of_breast", "after_breast", "letter", "prefix", "alone")
_NEXT_WORD = re.compile(rf"\.?\)?[ ]{{0,2}}([{_LETTER}]{{1,30}})")
_LAST_WORD = re.compile(rf"([{_LETTER}]{{1,30}})([.:,]?)[ ]{{0,2}}$")
_PERSON = re.compile(
    r"dra?|mrs?|ms|miss|prof|sra?|patient|paciente|name|nome|by|por|radiologist|physician|doctor|médic[oa]",
    re.IGNORECASE,
)
_RADIATION = re.compile(
    r"post|after|prior|previous|adjuvant|had|received|completed|undergone|chemo(?:therapy)?", re.IGNORECASE
)
_BREAST_NEXT = re.compile(r"\.?[ -]{0,2}(?:breast|br\b|side|axill)", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Mention:
    """One word or letter for a breast in a text."""

    side: Side
    start: int
    end: int  # text[start:end] is what another side would be written in place of
    whole: tuple[int, int]  # with what belongs to the abbreviation
    spelled_out: str  # what stands for the whole of it, without an abbreviation


def mentions(text: str) -> Iterator[Mention]:
    """Yield the words for one breast, in order; those for both ("bilateral", "双乳") are none."""
    about = {place for found in ABOUT.finditer(text) for place in range(*found.span())}  # "2cm左右" is "about 2 cm"
    is_portuguese = bool(PORTUGUESE.search(text.lower()))
    for found in _SIDE.finditer(text):
        if found.start() not in about and _is_side(text, found, is_portuguese=is_portuguese):
            yield _mention(text, found)


def spelled_out(text: str) -> str:
    """Return the text with its abbreviations for a breast written out: "Lt." as "left", "RMLO" as "right MLO"."""
    pieces, at = [], 0
    for mention in mentions(text):
        start, end = mention.whole
        pieces += [text[at:start], mention.spelled_out]
        at = end
    return "".join([*pieces, text[at:]])


def mirror(text: str) -> str:
    """Return the text with left and right exchanged and everything else as it was; twice is the text itself."""
    pieces, at = [], 0
    for mention in mentions(text):
        pieces += [text[at : mention.start], _exchanged(text[mention.start : mention.end])]
        at = mention.end
    return "".join([*pieces, text[at:]])


def _exchanged(word: str) -> str:
    """Return the word for the other side, letter by letter in the same case; the last letter's case goes on.

    A word whose case cannot come back that way ("righT") stays as it is.
    """
    other = _in_case_of(word, _OTHER[word.lower()])
    return other if _in_case_of(other, word.lower()) == word else word


def _in_case_of(example: str, word: str) -> str:
    return "".join(
        letter.upper() if example[min(at, len(example) - 1)].isupper() else letter for at, letter in enumerate(word)
    )


def _mention(text: str, found: re.Match[str]) -> Mention:
    group = next(name for name in _GROUPS if found[name])
    start, end = found.span(group)
    is_left = text[start:end].lower() in _LEFT
    words = "left" if is_left else "right"
    match group:
        case "han" | "word" | "gendered":
            words = text[start:end]
        case "of_breast" | "after_breast":
            words = ("mama " if group == "of_breast" else "") + ("esquerda" if is_left else "direita")
        case "prefix":
            words += " "
        case "letter" if found["tail"] in "bB":
            words += " breast"
    whole = found.span()
    if group in ("letter", "alone", "short") and text[found.end() : found.end() + 1] == ".":
        whole = whole[0], whole[1] + _goes_on(text, found.end() + 1)
    return Mention(Side.LEFT if is_left else Side.RIGHT, start, end, whole, words)


def _goes_on(text: str, at: int) -> bool:
    """Return whether a sentence goes on after an abbreviation's point: a breast, a small letter or a number follows."""
    return bool(re.match(r"\s{0,2}(?:[a-zß-ÿ\d:,)]|breast|br\b|side|axill|UOQ|UIQ|LOQ|LIQ|MLO|CC)", text[at : at + 12]))


def _is_side(text: str, found: re.Match[str], *, is_portuguese: bool) -> bool:
    """Return whether what looks like an abbreviation of a side is one, and no initial, degree or radiotherapy."""
    before = _LAST_WORD.search(text[max(0, found.start() - 36) : found.start()])
    if found["of_breast"]:
        return _is_breast_letters(text, found, before, is_portuguese=is_portuguese)
    if found["tail"] and found["tail"] in "tT":
        return not (before and _RADIATION.fullmatch(before[1])) or bool(
            _BREAST_NEXT.match(text[found.end("tail") :][:12])
        )
    if found["alone"]:
        return not _is_initial(text, found, before)
    return True


def _is_breast_letters(text: str, found: re.Match[str], before: re.Match[str] | None, *, is_portuguese: bool) -> bool:
    """Return whether MD or ME is a breast, mama direita or esquerda: a doctor's degree and "me" are written alike."""
    if found["breast"] not in ("MD", "ME") and text[found.end() : found.end() + 1] != ":":
        return False
    is_label = is_portuguese and text[found.end() : found.end() + 1] == ":"
    if before and before[1][0].isupper() and not is_report_word(before[1]) and not is_label:  # a name's degree
        return False
    opens = re.search(r"(?:^|[.;:,\n])\s{0,3}$", text[max(0, found.start() - 4) : found.start()])
    return is_portuguese or (bool(opens) and not re.match(r"\s{0,2}(?:[.,)\n]|$)", text[found.end() : found.end() + 3]))


def _is_initial(text: str, found: re.Match[str], before: re.Match[str] | None) -> bool:
    """Return whether a lone L or R is part of a person's name: "Dr. R. Smith", "Jane R. Doe"."""
    after = _NEXT_WORD.match(text[found.end("alone") : found.end("alone") + 36])
    if after is None or not after[1][0].isupper() or is_report_word(after[1]):
        return False
    if before is None:
        return False
    word = before[1]
    is_name = word[0].isupper() and (len(word) == 1 or not is_report_word(word)) and before[2] in ("", ".", ",")
    return _PERSON.fullmatch(word) is not None or is_name
