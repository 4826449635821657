"""Find persons' names in reports: behind a label ("Patient:", "姓名", "Médica:"), behind a title, before a degree.

A name ends where the report begins: no word that may be a side, a breast or a finding is taken for a name, and a
describing word ("Small", "Densa") only where no finding follows it.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass

from system.report_vocabulary import HAN_REPORT_WORD, WordKind, is_report_word, kind_of_word

_LETTER = "A-Za-zÀ-ÖØ-öø-ɏ"
_START = rf"(?<![{_LETTER}0-9_])"
_MAX_NAMES = 6  # capitalised words of one name
_MAX_HAN = 8  # characters of a Chinese name without a mark inside

_HAN_LABELS = (
    r"(?:患者|病人|患儿|受检者|联系人)?姓名|患者|病人|受检者|联系人|家属"
    r"|(?:报告|审核|检查|诊断|主治|书写|送检|申请|签发|记录|操作|登记)?(?:医师|医生|医务人员)(?:签名|签字|姓名)?"
    r"|(?:报告|审核|检查|书写|登记|操作|签发)(?:人|者)|技师|护士|签名|签字"
)
_SIGNED = (
    r"(?:reported|dictated|signed|electronically signed|digitally signed|verified|read|transcribed|reviewed|approved"
    r"|interpreted|authenticated|finali[sz]ed|requested|referred|performed|checked) by"
    r"|(?:laudado|assinado|assinado eletronicamente|assinado digitalmente|laudo de|realizado|revisado|liberado|digitado"
    r"|solicitado|conferido|relatado|validado) por"
)
_LATIN_LABELS = (
    r"(?:patient(?:'s|’s)?|full|first|last|family|given|mother(?:'s|’s)?) name|name|surname|patient|pt|signature"
    rf"|{_SIGNED}|(?:referring |attending |reporting |consultant )?(?:radiologist|physician|doctor|clinician)"
    r"|consultant|technologist|radiographer"
    r"|nome(?: (?:completo|social|do paciente|da paciente|da mãe|do médico|da médica))?|paciente|utente|doente|mãe"
    r"|médic[oa](?: (?:solicitante|responsável|assistente|radiologista|relator|relatora))?|solicitante|requisitante"
    r"|radiologista|relator[a]?|responsável|assinatura|técnic[oa]"
)
_LABEL = re.compile(rf"(?P<label>{_HAN_LABELS}|{_START}(?:{_LATIN_LABELS})) {{0,2}}: {{0,2}}", re.IGNORECASE)
_TITLE = re.compile(
    rf"{_START}(?:(?i:Dr[ao]?|Mrs?|Ms|Miss|Sr[ao]?|Srta|Prof[ao]?|Doutora?|Doctor|Senhora?)\.?(?:[ao°](?= ))?"
    rf"(?: D\.)?|Dona) +(?=[{_LETTER}])"
)
_SIGNED_BY = re.compile(rf"{_START}(?i:{_SIGNED}) +(?=[{_LETTER}])")
_HAN_SIGNED = re.compile(
    r"(?:(?:报告|审核|检查|诊断|主治|书写|送检|申请|签发|记录|操作)医[师生](?:签名|签字)?|姓名|签名|签字)"
    r" {0,2}(?=[\u3400-\u9fff])"
)
_WITHOUT_MARK = re.compile(
    rf"{_START}(?:[Pp]atient|[Pp]aciente|[Rr]adiologista?|[Mm]édic[oa]) +(?=[A-ZÀ-ÖØ-Þ][a-zß-ÿ])"
)
_WORD = re.compile(rf"[{_LETTER}](?:[{_LETTER}'’-]{{0,63}}[{_LETTER}])?")
_GAP = re.compile(r",? {1,3}|\. {0,2}")
_PARTICLE = frozenset(
    ("da", "das", "de", "del", "della", "den", "der", "di", "do", "dos", "du", "e", "el", "la", "le", "van", "von", "y")
)
_DEGREE = r"(?:M\.?D|Ph\.?D|D\.?O|MBBS|MBChB|FRCR|FACR|FRANZCR|CRM|RT|ARRT)\b"
_BEFORE_DEGREE = re.compile(
    rf"((?:{_START}[A-ZÀ-ÖØ-Þ][{_LETTER}'’-]{{0,40}}\.? ){{1,3}}[A-ZÀ-ÖØ-Þ][{_LETTER}'’-]{{1,40}})"
    rf"(?=, {{0,2}}{_DEGREE}\.?(?!:))"
)
_DEGREE_AFTER = re.compile(rf",? {{0,2}}{_DEGREE}\.?(?=\s{{0,2}}(?:[.,;)\n\[]|$))")
_ANY_CASE = re.compile(r"(?:name|nome[a-zã é]{0,20}|surname)$", re.IGNORECASE)  # labels after which no sentence stands
_HAN = r"[\u3400-\u9fff]"
_HAN_NAME = re.compile(  # "张 伟" is set with a space so that it is as long as "王小明"
    rf"{_HAN}(?: {{1,2}}(?={_HAN}(?!{_HAN})))?{_HAN}{{0,11}}(?:·{_HAN}{{1,11}}){{0,3}}"
)
_SURNAMES = (
    "王李张刘陈杨赵黄周吴徐孙胡朱高林何郭马罗梁宋郑谢韩唐冯董萧程曹袁邓许傅沈曾彭吕苏卢蒋蔡贾丁魏薛叶阎余潘杜戴夏钟汪田任姜范方石姚谭廖邹熊金陆郝孔白崔康毛邱秦"
    "江史顾侯邵孟龙万段雷钱汤尹黎易常武乔贺赖龚文庞樊兰殷施陶洪翟安颜倪严牛温芦季俞章鲁葛伍韦申尤毕聂丛焦柳邢路岳齐梅莫庄辛管祝左涂谷祁耿舒祖柯欧裴滕"
)
_HAN_DOCTOR = r"(?:副?主任)?(?:医[师生]|大夫|主任|教授)"
_HAN_TITLE = re.compile(
    rf"(?<!{_HAN})(?<!\d)[{_SURNAMES}]{_HAN}{{0,2}}?(?={_HAN_DOCTOR}|护士|技师|女士|先生)"
    rf"|(?<=[经由请与])[{_SURNAMES}](?={_HAN_DOCTOR})"
)
_HAN_PATIENT = re.compile(
    rf"(?:患者|病人)(?P<name>[{_SURNAMES}]{_HAN}{{1,2}}?)"
    r"(?=[,、(\s]{0,2}(?:[男女](?=[,、)性\s\d])|\d{1,3} ?岁|性别|年龄))"
)


@dataclass(frozen=True, slots=True)
class _Rules:
    """How sure what stands before a name makes us that one follows."""

    mark: str  # what stands between the two in the result
    is_title: bool = False  # even a describing word is a name: "Dr. Small"
    is_label: bool = False  # a title in its place is read by itself
    at_least: int = 1  # capitalised words
    surname_only: bool = False  # of a Chinese name


def without_names(text: str) -> str:
    """Return the text with [NAME] in place of the names that a label, a title or a degree gives away."""
    text = _HAN_PATIENT.sub(_without_patient, text)
    for pattern, rules in (
        (_LABEL, _Rules(mark=": ", is_label=True)),
        (_HAN_SIGNED, _Rules(mark=" ", surname_only=True)),
        (_TITLE, _Rules(mark=" ", is_title=True)),
        (_SIGNED_BY, _Rules(mark=" ")),
        (_WITHOUT_MARK, _Rules(mark=" ", at_least=2)),
    ):
        text = _replaced(text, pattern, rules)
    return _HAN_TITLE.sub("[NAME]", _BEFORE_DEGREE.sub(_without_signature, text))


def _without_patient(found: re.Match[str]) -> str:
    return found[0] if HAN_REPORT_WORD.search(found["name"]) else found[0].replace(found["name"], "[NAME]", 1)


def _without_signature(found: re.Match[str]) -> str:
    """Take the words before a degree out, from the last word that belongs to the report on."""
    words = found[0].split(" ")
    report = [
        len(word.rstrip(".")) > 1 and is_report_word(word) for word in words
    ]  # but an initial is part of the name
    start = next((at for at in range(len(words), 0, -1) if report[at - 1]), 0)
    return " ".join([*words[:start], "[NAME]"]) if len(words) - start > 1 else found[0]


def _replaced(text: str, pattern: re.Pattern[str], rules: _Rules) -> str:
    pieces, at = [], 0
    while found := pattern.search(text, at):
        start = found.end()
        end = _end_of_han_name(text, start, surname_only=rules.surname_only) or _end_of_name(text, start, found, rules)
        before = found[1] if rules.is_label else found[0].rstrip()
        pieces += [text[at : found.start()], before, rules.mark, "[NAME]"] if end > start else [text[at:start]]
        at = end
    return "".join([*pieces, text[at:]])


def _end_of_han_name(text: str, start: int, *, surname_only: bool) -> int:
    """Return where the Chinese name at `start` ends, 0 where none stands there."""
    run = _HAN_NAME.match(text, start)
    if run is None or (surname_only and run[0][0] not in _SURNAMES):
        return 0
    report = HAN_REPORT_WORD.search(text[start : start + 2 * _MAX_HAN])
    name = run[0][: report.start()] if report else run[0]
    if len(name) > _MAX_HAN and "·" not in name:  # a sentence without a mark
        name = name[:3] if name[0] in _SURNAMES else ""
    return start + len(name) if 2 <= len(name.replace(" ", "")) <= (4 if surname_only else len(name)) else 0


def _end_of_name(text: str, start: int, found: re.Match[str], rules: _Rules) -> int:
    """Return where the name at `start` in Latin letters ends, `start` where none stands there."""
    if rules.is_label and _TITLE.match(text, start):
        return start
    small_letters = rules.is_label and _ANY_CASE.search(found[1]) is not None
    words = list(_words_of_name(text, start, small_letters=small_letters))
    followed = _finding_follows(text, words[-1].end if words else start)
    while words and words[-1].kind == "describing" and followed:
        words.pop()
    if len(words) < rules.at_least or (not rules.is_title and all(word.kind == "describing" for word in words)):
        return start
    degree = _DEGREE_AFTER.match(text, words[-1].end)
    return degree.end() if degree else words[-1].end


def _finding_follows(text: str, at: int) -> bool:
    gap = _GAP.match(text, at)
    word = _WORD.match(text, gap.end() if gap else at)
    return word is not None and kind_of_word(word[0]) == "finding"


@dataclass(frozen=True, slots=True)
class _NameWord:
    kind: WordKind
    end: int


def _words_of_name(text: str, start: int, *, small_letters: bool) -> Iterator[_NameWord]:
    """Yield the words that may make a name, up to the first that cannot; particles ("da") count with the next."""
    at = start
    for _ in range(2 * _MAX_NAMES):
        word = _WORD.match(text, at)
        if word is None:
            return
        is_initial = len(word[0]) == 1 and word[0].isupper() and _is_initial(text, word)
        kind = "" if is_initial else kind_of_word(word[0])
        gap = _GAP.match(text, word.end())
        if at > start and word[0].lower() in _PARTICLE:
            following = _WORD.match(text, gap.end()) if gap else None
            if following is None or not following[0][0].isupper() or kind_of_word(following[0]):
                return
        elif kind in ("finding", "grammar") or not (word[0][0].isupper() or small_letters):
            return
        else:
            yield _NameWord(kind, word.end())
        if gap is None or (gap[0].startswith(".") and len(word[0]) > 1):
            return
        if gap[0].startswith(",") and not _goes_on_after_comma(text, gap.end()):
            return
        at = gap.end()


def _is_initial(text: str, letter: re.Match[str]) -> bool:
    """Return whether a letter is short for a name: another name follows it, or its point does and it is no side."""
    gap = _GAP.match(text, letter.end())
    following = _WORD.match(text, gap.end()) if gap else None
    if following and following[0][0].isupper() and not is_report_word(following[0]):
        return True
    return letter[0] not in "LRED" and text[letter.end() : letter.end() + 1] == "."


def _goes_on_after_comma(text: str, at: int) -> bool:
    """Return whether a given name follows a surname and its comma."""
    word = _WORD.match(text, at)
    return word is not None and word[0][0].isupper() and not is_report_word(word[0])
