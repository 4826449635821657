"""Move the dates of a report, or take out those that are ambiguous or incomplete (Chinese, English, Portuguese)."""

import re
from collections.abc import Callable
from datetime import date, timedelta

_MONTHS = ["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"]
_MONTH = r"(?:jan|feb|mar|apr|may|jun|jul|aug|sept?|oct|nov|dec)[a-z]{0,7}\.?"
_SHORT = r"(?:jan|feb|fev|mar|apr|abr|may|mai|jun|jul|aug|ago|sep|set|oct|out|nov|dec|dez)"
_MESES = [
    *("janeiro", "fevereiro", "março", "abril", "maio", "junho"),
    *("julho", "agosto", "setembro", "outubro", "novembro", "dezembro"),
]
_MES = r"(?:janeiro|fevereiro|mar[cç]o|abril|maio|junho|julho|agosto|setembro|outubro|novembro|dezembro)"


def shift_dates(text: str, *, shift_days: int) -> str:
    """Return the text with full dates moved by `shift_days`, in their own form, and [DATE] in place of the others."""
    for pattern, read in _DATES:
        text = pattern.sub(_shifted(read, shift_days=shift_days), text)
    return text


def _shifted(read: Callable[[re.Match[str]], tuple[date, str]], *, shift_days: int) -> Callable[[re.Match[str]], str]:
    """Return the replacement of a date, for re.sub: the shifted date in the same form, or [DATE]."""

    def replace(found: re.Match[str]) -> str:
        try:
            day, form = read(found)
            moved = day + timedelta(days=shift_days)
            return moved.strftime(form.replace("%MES", _MESES[moved.month - 1]))
        except (ValueError, OverflowError):
            return "[DATE]"

    return replace


def _year_first(found: re.Match[str]) -> tuple[date, str]:
    year, mark, month, rest, day, end = found.groups()
    return date(int(year), int(month), int(day)), f"%Y{mark}%m{rest}%d{end}"


def _day_month_name(found: re.Match[str]) -> tuple[date, str]:
    return date(int(found[3]), _MONTHS.index(found[2][:3].lower()) + 1, int(found[1])), "%d %B %Y"


def _month_name_day(found: re.Match[str]) -> tuple[date, str]:
    return date(int(found[4]), _MONTHS.index(found[1][:3].lower()) + 1, int(found[2])), f"%B %d{found[3]} %Y"


def _day_mes(found: re.Match[str]) -> tuple[date, str]:
    month = _MESES.index(found[2].lower().replace("marco", "março")) + 1
    return date(int(found[3]), month, int(found[1])), "%d de %MES de %Y"


def _unsure(found: re.Match[str]) -> tuple[date, str]:
    """Refuse a date whose day and month cannot be distinguished, or of which one is missing."""
    raise ValueError(f"{len(found[0])} characters of an ambiguous or incomplete date")


_DATES: tuple[tuple[re.Pattern[str], Callable[[re.Match[str]], tuple[date, str]]], ...] = (
    (re.compile(r"(?<!\d)((?:19|20)\d\d)([-/.年]) ?(\d{1,2})([-/.月]) ?(\d{1,2})(日?)(?!\d)"), _year_first),
    (
        re.compile(rf"(?<!\d)(\d{{1,2}})(?:st|nd|rd|th)? ({_MONTH}),? ((?:19|20)\d\d)(?!\d)", re.IGNORECASE),
        _day_month_name,
    ),
    (
        re.compile(rf"\b({_MONTH}) (\d{{1,2}})(?:st|nd|rd|th)?(,?) ((?:19|20)\d\d)(?!\d)", re.IGNORECASE),
        _month_name_day,
    ),
    (
        re.compile(rf"(?<!\d)(\d{{1,2}})[o°]? (?:de )?({_MES}),? (?:de |do )?((?:19|20)\d\d)(?!\d)", re.IGNORECASE),
        _day_mes,
    ),
    (re.compile(rf"(?<!\d de )(?<!\d )\b{_MES},?(?: de | do | |/)(?:19|20)\d\d(?!\d)", re.IGNORECASE), _unsure),
    (re.compile(rf"(?<![\d-])\d{{1,2}}[-/]{_SHORT}\.?[-/](?:19|20)?\d\d(?!\d)", re.IGNORECASE), _unsure),
    (re.compile(rf"(?<!\d )\b{_MONTH} (?:19|20)\d\d(?!\d)|\b{_SHORT}/(?:19|20)\d\d(?!\d)", re.IGNORECASE), _unsure),
    (re.compile(r"(?<!\d)\d{1,2}[-/.]\d{1,2}[-/.](?:19|20)\d\d(?!\d)"), _unsure),
    (re.compile(r"(?<![\d/])\d\d/\d\d/\d\d(?![\d/]| ?[cm]m)"), _unsure),
    (re.compile(r"(?<!\d)(?:19|20)\d\d年 ?\d{1,2}月(?!\d)"), _unsure),
    (re.compile(r"(?<!\d)(?:19|20)\d{2}(?:0[1-9]|1[0-2])(?:0[1-9]|[12]\d|3[01])(?!\d)"), _unsure),
)
