"""Remove identifying text from a report before it is stored: names, phones, mails, numbers of persons and documents.

Dates are shifted. The rules follow how reports are written (zh, en) and prove nothing: names in running text without a
title or a label before them stay.
"""

import re
import unicodedata
from collections.abc import Callable
from datetime import date, timedelta

MAX_CHARACTERS = 100_000  # of one section; the longest real ones have a few thousand
MAX_SHIFT_DAYS = 365
_NAME_LABELS = (
    r"(?:患者|病人)?姓名|患者|病人|(?:报告|审核|检查|诊断|主治|书写)?(?:医师|医生)(?:签名)?|技师|签名|"
    r"(?:patient(?:'s)? )?name|patient|(?:reported|dictated|signed|electronically signed|verified|read|transcribed) by|"
    r"(?:referring |attending )?(?:radiologist|physician|doctor)"
)
_ID_LABELS = (
    r"病历号|病案号|住院号|门诊号|检查号|登记号|影像号|条码号|医保号|身份证号?码?|床号|"
    r"MRN|NHS(?: number| no\.?)?|SSN|"
    r"(?:patient|hospital|medical record|accession|case|exam) ?(?:id|no\.?|number|#)|accession|ID"
)
_ENGLISH_WORD = r"(?:[A-Z]\.|[A-Z][\w'’-]*)"
_ENGLISH_NAME = rf"{_ENGLISH_WORD}(?:,? +{_ENGLISH_WORD}){{0,3}}"
_MONTHS = ["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"]
_MONTH = r"(?:jan|feb|mar|apr|may|jun|jul|aug|sept?|oct|nov|dec)[a-z]*\.?"

_Rules = tuple[tuple[re.Pattern[str], str], ...]
# No pattern looks further than a bounded way on from a place where it may begin: the time grows as the text.
_BEFORE_DATES: _Rules = (  # numbers of which a date's pattern would match a part
    (re.compile(r"(?<![\w.+-])[\w.+-]{1,64}@[\w-]{1,63}(?:\.[\w-]{1,63})+"), "[MAIL]"),
    # DICOM person name: components of at most 64 characters (PS3.5, value representation PN)
    (re.compile(r"(?<![A-Za-z])[A-Z][A-Z'-]{1,63}(?:\^[A-Z'-]{0,64})+", re.IGNORECASE), "[NAME]"),
    (
        re.compile(
            rf"(?i:\b|(?<=[\u4e00-\u9fff]))((?i:{_ID_LABELS})) ?[:#]? ?(?=[\w-]{{0,64}}\d)[A-Za-z0-9][\w-]{{2,}}"
        ),
        r"\1: [ID]",
    ),
    (re.compile(r"(?<!\d)\d{17}[\dXx](?![\dA-Za-z])"), "[ID]"),  # resident identity number
)
_AFTER_DATES: _Rules = (
    (
        re.compile(rf"((?:{_NAME_LABELS})) ?: ?[\u4e00-\u9fff·]{{2,8}}(?=$|[\s,.;，。；、)/])", re.IGNORECASE),
        r"\1: [NAME]",
    ),
    (re.compile(rf"((?i:\b(?:{_NAME_LABELS}))) ?: ?{_ENGLISH_NAME}"), r"\1: [NAME]"),
    (re.compile(rf"\b((?:Dr|Mrs|Mr|Ms|Miss|Prof)\.?) +{_ENGLISH_NAME}"), r"\1 [NAME]"),
    (re.compile(r"(?<![\d.])(?:\+?86[- ]?)?1[3-9]\d[- ]?\d{4}[- ]?\d{4}(?!\d)"), "[PHONE]"),
    (
        re.compile(
            r"(?<![\d.])(?:0\d{2,3}[- ]\d{7,8}|\(\d{3}\) ?\d{3}[- ]\d{4}|\d{3}-\d{3}-\d{4}|"
            r"\+\d{1,3}(?:[ -]?\d{2,4}){3,4})(?!\d)"
        ),
        "[PHONE]",
    ),
)


def scrub(text: str, *, shift_days: int) -> str:
    """Return the text without what identifies its patient and its authors.

    The text is cut at MAX_CHARACTERS and brought to NFKC, and control characters are removed. Names, phones, mails and
    numbers become [NAME], [PHONE], [MAIL], [ID]. Full dates move by `shift_days`; ambiguous and incomplete dates become
    [DATE].
    """
    clean = "".join(
        character for character in unicodedata.normalize("NFKC", text[:MAX_CHARACTERS]) if _is_text(character)
    )
    for pattern, replacement in _BEFORE_DATES:
        clean = pattern.sub(replacement, clean)
    for pattern, read in _DATES:
        clean = pattern.sub(_shifted(read, shift_days=shift_days), clean)
    for pattern, replacement in _AFTER_DATES:
        clean = pattern.sub(replacement, clean)
    return clean


def shift_of(digest: str) -> int:
    """Return a patient's shift, the same for all their reports: -1 to -MAX_SHIFT_DAYS days.

    digest: hexadecimal, from the site key and the patient; without the key the shift cannot be computed
    """
    return -1 - int(digest[:8], 16) % MAX_SHIFT_DAYS


def _is_text(character: str) -> bool:
    return character in "\n\t" or unicodedata.category(character) not in ("Cc", "Cf", "Cs", "Co", "Cn")


def _shifted(read: Callable[[re.Match[str]], tuple[date, str]], *, shift_days: int) -> Callable[[re.Match[str]], str]:
    """Return the replacement of a date, for re.sub: the shifted date in the same form, or [DATE]."""

    def replace(found: re.Match[str]) -> str:
        try:
            day, form = read(found)
            return (day + timedelta(days=shift_days)).strftime(form)
        except (ValueError, OverflowError):
            return "[DATE]"

    return replace


def _year_first(found: re.Match[str]) -> tuple[date, str]:
    year, mark, month, rest, day, end = found.groups()
    return date(int(year), int(month), int(day)), f"%Y{mark}%m{rest}%d{end}"


def _day_month_name(found: re.Match[str]) -> tuple[date, str]:
    return date(int(found[3]), _MONTHS.index(found[2][:3].lower()) + 1, int(found[1])), "%d %B %Y"


def _month_name_day(found: re.Match[str]) -> tuple[date, str]:
    return date(int(found[3]), _MONTHS.index(found[1][:3].lower()) + 1, int(found[2])), "%B %d, %Y"


def _unsure(found: re.Match[str]) -> tuple[date, str]:
    """Refuse a date whose day and month cannot be distinguished, or of which one is missing."""
    raise ValueError(f"{len(found[0])} characters of an ambiguous or incomplete date")


_DATES: tuple[tuple[re.Pattern[str], Callable[[re.Match[str]], tuple[date, str]]], ...] = (
    (re.compile(r"(?<!\d)((?:19|20)\d\d)([-/.年]) ?(\d{1,2})([-/.月]) ?(\d{1,2})(日?)(?!\d)"), _year_first),
    (
        re.compile(rf"(?<!\d)(\d{{1,2}})(?:st|nd|rd|th)? ({_MONTH}),? ((?:19|20)\d\d)(?!\d)", re.IGNORECASE),
        _day_month_name,
    ),
    (re.compile(rf"\b({_MONTH}) (\d{{1,2}})(?:st|nd|rd|th)?,? ((?:19|20)\d\d)(?!\d)", re.IGNORECASE), _month_name_day),
    (re.compile(r"(?<!\d)\d{1,2}[-/.]\d{1,2}[-/.](?:19|20)\d\d(?!\d)"), _unsure),
    (re.compile(r"(?<!\d)(?:19|20)\d\d年 ?\d{1,2}月(?!\d)"), _unsure),
    (re.compile(r"(?<!\d)(?:19|20)\d{2}(?:0[1-9]|1[0-2])(?:0[1-9]|[12]\d|3[01])(?!\d)"), _unsure),
)
