"""Find numbers of persons and documents, phones, mails and addresses in reports (Chinese, English, Portuguese).

No pattern looks further than a bounded way on from a place where it may begin: the time grows as the text. Values are
Latin letters and digits, so that a number ends where Chinese words begin.
"""

import re
from itertools import takewhile

from system.report_vocabulary import HAN_REPORT_WORD, is_report_word, kind_of_word
from system.report_words import NEGATION

_LETTER = "A-Za-zÀ-ÖØ-öø-ɏ"
_Rules = tuple[tuple[re.Pattern[str], str], ...]
_IDS = (
    r"病历号|病案号|住院号|门诊号|检查号|登记号|影像号|条码号|医保号|社保号|就诊卡?号|体检号|申请单?号|病理号|放射号|[Xx]线号|片号"
    r"|卡号|编号|护照号?码?|身份证号?码?|证件号码?|床号"
    r"|MRN|URN|NHS(?: number| no\.?)?|SSN|NPI|(?:patient|hospital|medical record|accession|case|exam|chart|record|file"
    r"|order|insurance|passport|visit|episode) ?(?:id|no\.?|number|num\.?|#)|accession|ID"
    r"|prontuário|prontuario|processo|CPF|RG|CNS|CRM|CNPJ|SUS|NIF|NISS|utente|registro|registo|atendimento|matrícula"
    r"|matricula|cédula|convênio|carteirinha|cartão (?:SUS|nacional de saúde|(?:de|do) cidadão)"
    r"|protocolo|exame n[o.°]{1,2}"
)
_NUMBER_WORD = r"(?: (?:clínico|hospitalar|do utente|de utente))?(?: ?(?:n[.o°]{1,2}|núm(?:ero|\.)|número|nº))?"
_STATE = r"(?:[-/ ](?:A[CLMP]|BA|CE|DF|ES|GO|M[AGST]|P[ABEIR]|R[JNORS]|S[CEP]|TO)\b)?"  # of a Brazilian register
_VALUE = (
    r"(?:\d{6} \d{8} \d{3}[\dXx](?![A-Za-z0-9])|\d{3}(?: \d{4}){3}(?!\d)"
    r"|\d{1,3}(?:\.\d{3}){1,3}(?:[-/][\dXx]{1,4}){0,2}(?![A-Za-z0-9])|\d{3,10}/\d{2,4}(?![A-Za-z0-9/])"
    r"|(?=[A-Za-z0-9-]{0,64}\d)[A-Za-z0-9][A-Za-z0-9-]{2,})"
)
_MAIL = re.compile(
    rf"(?<![{_LETTER}0-9_.+-])[{_LETTER}0-9_.+-]{{1,64}}@[{_LETTER}0-9-]{{1,63}}(?:\.[{_LETTER}0-9-]{{1,63}}){{1,8}}"
)
# DICOM person name: components of at most 64 characters (PS3.5, value representation PN)
_PERSON_NAME = re.compile(
    rf"(?<![{_LETTER}])[{_LETTER}][{_LETTER}'-]{{1,63}}(?:\^[{_LETTER}'-]{{0,64}})+"
    r"|[\u3400-\u9fff]{1,2}\^[\u3400-\u9fff]{1,3}\^{0,3}"
)
BEFORE_DATES: _Rules = (  # numbers of which a date's pattern would match a part
    (
        re.compile(
            rf"(?i:\b|(?<=[\u4e00-\u9fff]))((?i:{_IDS})(?i:{_NUMBER_WORD}){_STATE})(?![A-Za-z])"
            rf" ?[:#]? ?{_VALUE}"
        ),
        r"\1: [ID]",
    ),
    (re.compile(r"(?<![\dA-Za-z.])(?:\d{17}[\dXx]|\d{6} \d{8} \d{3}[\dXx]|[1-9]\d{14})(?![\dA-Za-z])"), "[ID]"),
    (re.compile(r"(?<![\d.])\d{3}\.\d{3}\.\d{3}-\d{2}(?!\d)"), "[ID]"),  # CPF
    (re.compile(r"(?<![\d.])[0-2](?:\.\d{1,64}){5,20}(?![\d.]\d)"), "[ID]"),  # DICOM UID (PS3.5, 9.1)
)
_DIGITS = r"(?=(?:[ ()./+-]{0,2}\d){7})[+(]{0,2}\d(?:[\d ()/-]|\.(?=\d)){5,22}\d"
AFTER_DATES: _Rules = (
    (
        re.compile(
            r"((?:(?<![A-Za-z])(?i:telefones?|telemóvel|tel|celular|cel|fones?|whatsapp|phone|mobile|cell|fax|pager|ph)"
            r"|电话号?码?|手机号?码?|联系方式|传真)(?: ?(?i:no|n[o°]|number))?\.? ?:? ?)"
            rf"{_DIGITS}(?!\d)"
        ),
        r"\1[PHONE]",
    ),
    (re.compile(r"(?<![\d.])(?:\+?86[- ]?)?1[3-9]\d[- ]?\d{4}[- ]?\d{4}(?!\d)"), "[PHONE]"),
    (
        re.compile(
            r"(?<![\d.])(?:0\d{2,3}[- ]\d{7,8}|\(\d{3}\) ?\d{3}[- ]\d{4}|\d{3}-\d{3}-\d{4}|\d{3}\.\d{3}\.\d{4}|"
            r"(?:\+?55 ?)?\(\d{2}\) ?9?\d{4}[- ]?\d{4}|(?:\+?55 )?\d{2} 9\d{4}[- ]\d{4}|9\d{4}-\d{4}|"
            r"9[1236]\d \d{3} \d{3}|\+\d{1,3}(?:[ -]?\d{2,5}){2,5})(?!\d)"
        ),
        "[PHONE]",
    ),
    (re.compile(r"(?<![\d.-])\d{5}-\d{3}(?![\d-])"), "[ADDRESS]"),  # CEP, the postal code of Brazil
)
_ADDRESS = re.compile(
    r"(?:(?:家庭|联系|现)?(?:住址|地址)|(?<![A-Za-z])(?i:(?:home |postal )?address|endereço|morada|residência))"
    r" ?: ?(?P<place>(?:[^\n。;.]|\.(?! |\n|$)|(?<=\b(?:St|Av|Rd|Dr|No))\. ){2,120})"
)
_CAPITALISED = rf"(?:d[aeo]s? )?[A-ZÀ-ÖØ-Þ][{_LETTER}0-9'-]{{1,40}}"
_STREET = re.compile(
    rf"(?<![{_LETTER}])(?:Rua|Avenida|Av\.|Travessa|Praça|Alameda|Rodovia|Estrada) (?P<place>{_CAPITALISED}"
    rf"(?: {_CAPITALISED}){{0,4}}(?:, ?(?:n[.o°]{{1,2}} ?)?\d{{1,5}})?)"
    r"|(?<!\d)(?P<named>\d{1,5} (?:[A-Z][a-z]{1,30} ){1,3}(?:Street|St|Avenue|Ave|Road|Rd|Lane|Drive|Boulevard|Blvd)\b)"
)
_WORD = re.compile(rf"[{_LETTER}]+")


def without_numbers(text: str, rules: _Rules) -> str:
    """Return the text with the placeholders of these rules in place of what they match."""
    for pattern, replacement in rules:
        text = pattern.sub(replacement, text)
    return text


def without_mails(text: str) -> str:
    """Return the text with [MAIL] in place of mail addresses; report words that are glued to one stay."""

    def replace(found: re.Match[str]) -> str:
        parts = found[0].partition("@")[0].split(".")
        glued = list(takewhile(is_report_word, parts))
        return ".".join([*glued, "[MAIL]"])

    return _MAIL.sub(replace, text)


def without_person_names(text: str) -> str:
    """Return the text with [NAME] in place of names in DICOM's form, DOE^JANE."""
    return _PERSON_NAME.sub(lambda found: found[0] if _report_starts(found[0]) == 0 else "[NAME]", text)


def without_addresses(text: str) -> str:
    """Return the text with [ADDRESS] in place of what follows a label for one, or is named as a street."""

    def replace(found: re.Match[str]) -> str:
        group = next(name for name in ("place", "named") if found.groupdict().get(name))
        start = found.start(group) - found.start()
        end = start + _report_starts(found[group])
        if end == start:
            return found[0]
        return f"{found[0][:start]}[ADDRESS]{found[0][end:]}"

    return _STREET.sub(replace, _ADDRESS.sub(replace, text))


def _report_starts(text: str) -> int:
    """Return where the first word of a finding, or of its negation, begins; the text's length where there is none."""
    words = ((found[0].lower(), found.start()) for found in _WORD.finditer(text) if len(found[0]) > 1)
    places = [start for word, start in words if kind_of_word(word) == "finding" or NEGATION.search(word)]
    han = HAN_REPORT_WORD.search(text)
    return min([*places[:1], *([han.start()] if han else []), len(text)])
