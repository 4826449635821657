"""Clean the text of a report, split it into its two sections, find its language, exchange left and right."""

import re
import unicodedata
from dataclasses import dataclass

from system.report_sides import mentions, mirror

_DESCRIPTION = r"影像所见|检查所见|影像描述|影像表现|所见|描述|findings?|description|achados|descrição"
_IMPRESSION = r"影像诊断|诊断意见|诊断印象|印象|诊断|结论|impression|conclusion|conclusão|impressão|opinião"
_HEADING = re.compile(
    rf"(?:^|(?<=[\n。;.]))[ \t]*(?:(?P<description>{_DESCRIPTION})|(?P<impression>{_IMPRESSION}))[ \t]*:", re.IGNORECASE
)
# Escape sequences left in ISO 2022 text, e.g. ESC $ ) A of ISO 2022 IR 58.
_ESCAPE = re.compile(r"\x1b[$(),\-./]{1,2}[0-9A-Za-z]")
_HAN = re.compile(r"[\u3400-\u9fff]")
_LATIN_WORD = re.compile(r"\b[A-Za-zÀ-ÿ]?[a-zß-ÿ]{2,}\b")  # not BI-RADS, CC, MLO, which Chinese reports have too


@dataclass(frozen=True, slots=True)
class Sections:
    """One report, cleaned."""

    description: str
    impression: str

    @property
    def empty(self) -> bool:
        """True when the report has no text; such a report gives no label."""
        return not (self.description or self.impression)

    @property
    def length(self) -> int:
        """Characters in all; batches are made of reports of like length."""
        return len(self.description) + len(self.impression)


def clean(text: str, *, max_chars: int) -> str:
    """Return text in NFKC, without control or format characters, at most max_chars long.

    NFKC makes full-width digits plain.
    """
    text = _ESCAPE.sub("", text[: 4 * max_chars])  # cut first: NFKC of a 10 MB text takes long and is not needed
    text = unicodedata.normalize("NFKC", text).replace("\r\n", "\n").replace("\r", "\n").replace("\t", " ")
    kept = "".join(
        char for char in text if char == "\n" or unicodedata.category(char) not in ("Cc", "Cf", "Cs", "Co", "Cn")
    )
    return kept[:max_chars].strip()


def sections(description: str, impression: str, *, max_chars: int) -> Sections:
    """Return the two sections of a report: its two columns, or split at headings where all of it is in one column."""
    description, impression = clean(description, max_chars=max_chars), clean(impression, max_chars=max_chars)
    if description and impression:
        return Sections(_without_heading(description), _without_heading(impression))
    found = _by_headings(description or impression)
    if found.description or found.impression:
        return found
    return Sections(description, impression)


def language(text: str) -> str:
    """Return "zh", "en" (any Latin script) or "mixed" for a report in both; "" for a text without letters."""
    han, words = len(_HAN.findall(text)), len(_LATIN_WORD.findall(text))
    if han + words == 0:
        return ""
    # an English word counts for about two Chinese characters
    if han >= 4 and words >= 4 and 0.2 < han / (han + 2 * words) < 0.8:
        return "mixed"
    return "zh" if han > words else "en"


def mirrored(report: Sections) -> Sections:
    """Return the report with left and right exchanged."""
    return Sections(mirror(report.description), mirror(report.impression))


def has_mirror_image(report: Sections) -> bool:
    """Return whether left and right can be exchanged in a report; not where a side is written as no other can be."""
    names_one = any(any(mentions(text)) for text in (report.description, report.impression))
    return mirrored(report) != report or not names_one


def _by_headings(text: str) -> Sections:
    """Split at the headings.

    Text before the first heading is the description where no section has that heading; otherwise it is dropped.
    """
    parts: dict[str, list[str]] = {"description": [], "impression": []}
    headings = list(_HEADING.finditer(text))
    ends = [heading.start() for heading in headings[1:]] + [len(text)]
    for heading, end in zip(headings, ends if headings else [], strict=True):
        parts[heading.lastgroup or "description"].append(text[heading.end() : end].strip())
    if not parts["description"] and headings:
        parts["description"].append(text[: headings[0].start()].strip())
    return Sections("\n".join(filter(None, parts["description"])), "\n".join(filter(None, parts["impression"])))


def _without_heading(text: str) -> str:
    heading = _HEADING.match(text)
    return text[heading.end() :].strip() if heading else text
