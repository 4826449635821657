"""Names of files as text.

A name may hold line ends, control characters, and bytes that are no UTF-8, which Python keeps as lone surrogates
(PEP 383).
"""

import unicodedata


def is_utf8(name: str) -> bool:
    """Return whether a name can be written as UTF-8."""
    try:
        name.encode("utf8")
    except UnicodeEncodeError:
        return False
    return True


def readable(name: str) -> str:
    r"""Return a name that every table, JSON file, page and terminal takes: what cannot be seen is written as an escape.

    Bytes that are no UTF-8 become `\xNN`, other unseen characters `\xNN` or `\uNNNN`.
    """
    return "".join(character if _is_seen(character) else _escaped(character) for character in name)


def _is_seen(character: str) -> bool:
    return character.isprintable() or unicodedata.category(character) == "Zs"  # a space of any width


def _escaped(character: str) -> str:
    code = ord(character)
    if 0xDC80 <= code <= 0xDCFF:  # PEP 383: a byte from 80 to FF
        code -= 0xDC00
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"
