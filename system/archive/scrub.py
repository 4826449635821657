"""Remove identifying text from a report before it is stored: names, phones, mails, addresses, numbers of persons.

Dates are shifted. The rules follow how reports are written (Chinese, English, Portuguese) and prove nothing: names in
running text without a title or a label before them stay. What may be a side, a breast or a finding is never taken out.
"""

import re
import unicodedata
from collections import Counter

from system.archive.scrub_dates import shift_dates
from system.archive.scrub_names import without_names
from system.archive.scrub_numbers import (
    AFTER_DATES,
    BEFORE_DATES,
    without_addresses,
    without_mails,
    without_numbers,
    without_person_names,
)

MAX_CHARACTERS = 100_000  # of one section; the longest real ones have a few thousand
MAX_SHIFT_DAYS = 365
_PLACEHOLDER = re.compile(r"\[(NAME|PHONE|MAIL|ID|DATE|ADDRESS)\]")


def scrub(text: str, *, shift_days: int) -> str:
    """Return the text without what identifies its patient and its authors.

    The text is cut at MAX_CHARACTERS and brought to NFKC, and control characters are removed. Names, phones, mails,
    addresses and numbers become [NAME], [PHONE], [MAIL], [ADDRESS], [ID]. Full dates move by `shift_days`; ambiguous
    and incomplete dates become [DATE].
    """
    text = text[:MAX_CHARACTERS].replace("\r\n", "\n").replace("\r", "\n")
    clean = "".join(character for character in unicodedata.normalize("NFKC", text) if _is_text(character))
    clean = without_person_names(without_numbers(without_mails(clean), BEFORE_DATES))
    clean = shift_dates(clean, shift_days=shift_days)
    return without_numbers(without_names(without_addresses(clean)), AFTER_DATES)


def taken_out(text: str) -> Counter[str]:
    """Return how many placeholders of each kind (NAME, ID, …) a scrubbed text has."""
    return Counter(_PLACEHOLDER.findall(text))


def shift_of(digest: str) -> int:
    """Return a patient's shift, the same for all their reports: -1 to -MAX_SHIFT_DAYS days.

    digest: hexadecimal, from the site key and the patient; without the key the shift cannot be computed
    """
    return -1 - int(digest[:8], 16) % MAX_SHIFT_DAYS


def _is_text(character: str) -> bool:
    return character in "\n\t" or unicodedata.category(character) not in ("Cc", "Cf", "Cs", "Co", "Cn")
