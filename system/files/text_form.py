"""Recognise how a text file from elsewhere is encoded. What may be of two encodings is refused, never guessed.

Told apart are UTF-8, UTF-16, GB18030 (which holds GBK and GB2312) and Latin-1 as Windows writes it (Windows-1252):
what spreadsheets and hospital systems write for the languages whose reports are read here.
"""

import re
from collections import Counter
from dataclasses import dataclass

from system.errors import UserError

_MARKS = {b"\xef\xbb\xbf": "utf-8-sig", b"\xff\xfe": "utf-16", b"\xfe\xff": "utf-16"}  # byte order marks
_SPREADSHEETS = (b"PK\x03\x04", b"\xd0\xcf\x11\xe0")  # xlsx, xls
_FIRST = 16  # bytes that show UTF-16 without a mark: a header's or a JSON text's first characters are ASCII

# GB2312: rows 16 to 55 hold the 3,755 common characters ordered by their sound, rows 1 and 3 the punctuation
_COMMON, _PUNCTUATION = range(0xB0, 0xD8), (0xA1, 0xA3)
_COMMON_SHARE = 0.8  # of the characters beyond ASCII; of Big5, Shift-JIS, EUC-JP and Cyrillic bytes read so far fewer
# Korean bytes (EUC-KR) are common characters too, but none behind this row, where a third of the Chinese ones stand
_NOT_KOREAN, _NOT_KOREAN_SHARE = 0xC9, 0.05

_WORD, _ACCENTED, _ASCII_LETTER = (re.compile(each) for each in (r"[^\W\d_]+", r"[^\x00-\x7f]+", r"[A-Za-z]"))
_LATIN_RUN = 3  # letters with accents that follow each other; "ção" has two
_LATIN_SIGNS = frozenset("°±²³µ·½¼¾ªº«»€…‘’“”–—•×÷¿¡§©®\xa0")  # beside letters, outside of words


@dataclass(frozen=True, slots=True)
class Text:
    """A decoded file."""

    content: str
    encoding: str  # UTF-8, UTF-16, GB18030 or Latin-1


def decode(data: bytes, *, name: str) -> Text:
    """Return the text of a file.

    name: of the file, for the errors

    Raises UserError for a spreadsheet, and with a line for an encoding that is none of the four, or may be several.
    """
    if data.startswith(_SPREADSHEETS):
        raise UserError(f"{name} is a spreadsheet: save it as CSV, in UTF-8")
    try:
        return _decoded(data)
    except UnicodeDecodeError:
        raise UserError(
            f"{name} line {_line_of_other_encoding(data)} is not UTF-8, and not surely UTF-16, GB18030 or "
            "Latin-1: save it as UTF-8"
        ) from None


def _decoded(data: bytes) -> Text:
    for mark, codec in _MARKS.items():
        if data.startswith(mark):
            return Text(data.decode(codec), codec.upper().removesuffix("-SIG"))
    if codec := _unmarked_utf_16(data[:_FIRST]):
        return Text(data.decode(codec), "UTF-16")
    try:
        return Text(data.decode("utf8"), "UTF-8")
    except UnicodeDecodeError:
        for codec, is_so, called in (("gb18030", _is_chinese, "GB18030"), ("cp1252", _is_latin, "Latin-1")):
            text = _try(data, codec)
            if text and is_so(text):
                return Text(text, called)
        raise


def _unmarked_utf_16(begins: bytes) -> str:
    """Return the codec of UTF-16 without a mark; "" where every second byte is not NUL."""
    even, odd = begins[::2], begins[1::2]
    if len(odd) < 2 or any(even) == any(odd):
        return ""
    found, other, codec = (even, odd, "utf-16-le") if any(even) else (odd, even, "utf-16-be")
    return codec if all(found) and not any(other) else ""


def _try(data: bytes, codec: str) -> str:
    try:
        return data.decode(codec)
    except UnicodeDecodeError:
        return ""


def _is_chinese(text: str) -> bool:
    """Return whether a text that was read as GB18030 consists of what Chinese is written with."""
    rows: Counter[int] = Counter()
    for character, number in Counter(text).items():
        if not character.isascii():
            coded = character.encode("gb2312", "ignore")
            rows[coded[0] if coded else 0] += number
    common = sum(rows[row] for row in _COMMON)
    behind = sum(rows[row] for row in _COMMON if row >= _NOT_KOREAN)
    signs = sum(rows[row] for row in _PUNCTUATION)
    return common + signs >= _COMMON_SHARE * rows.total() and behind > _NOT_KOREAN_SHARE * common


def _is_latin(text: str) -> bool:
    """Return whether a text that was read as Windows-1252 has its letters and signs where a Western language has them.

    Bytes of other encodings make long runs beyond ASCII, words without an ASCII letter, or signs inside of words.
    """
    for word in (found[0] for found in _WORD.finditer(text) if not found[0].isascii()):
        if max(map(len, _ACCENTED.findall(word))) > _LATIN_RUN or (len(word) > 1 and not _ASCII_LETTER.search(word)):
            return False
    return all(
        character.isascii() or character.isalpha() or (character in _LATIN_SIGNS and not (before + after).isalpha())
        for before, character, after in zip(" " + text, text, text[1:] + " ", strict=False)
    )


def _line_of_other_encoding(data: bytes) -> int:
    """Return the first line that is not UTF-8; 1 where it only shows at the file's end."""
    for number, line in enumerate(data.split(b"\n"), start=1):
        try:
            line.decode("utf8")
        except UnicodeDecodeError:
            return number
    return 1
