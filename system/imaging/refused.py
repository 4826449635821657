"""The error for an image that cannot be used: its code goes into the quarantine; its detail never has patient data.

Anything can stand in any field of a header: names are typed into the wrong one. So a detail has words of its own, and
of the header only what `quoted` and `counted` let through.
"""

from collections.abc import Collection

LARGEST_COUNT = 99_999  # shown as it is: longer numbers may be of a phone or a patient


class ImageRefused(ValueError):
    """One image is left out; the job goes on."""

    def __init__(self, code: str, detail: str) -> None:
        super().__init__(f"{code}: {detail}")
        self.code = code
        self.detail = detail

    def __reduce__(self) -> tuple[type["ImageRefused"], tuple[str, str]]:
        """Return both arguments for pickle, so that the error reaches another process complete."""
        return ImageRefused, (self.code, self.detail)


def quoted(found: str, *, known: Collection[str]) -> str:
    """Return a header's text in quotes where it is one of the known words, else that it is another or none."""
    if not found:
        return "empty"
    return repr(found) if found in known else "another value"


def counted(number: int) -> str:
    """Return a header's number as text; of a long one, only that it is long."""
    return str(number) if abs(number) <= LARGEST_COUNT else f"more than {LARGEST_COUNT}"
