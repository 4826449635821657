"""What was kept out of an archive, and why."""

from collections import Counter
from dataclasses import dataclass

from system.archive import Archive
from system.errors import UserError
from system.figures.table import Table


@dataclass(frozen=True)
class Reason:
    """Files that were kept out for the same reason."""

    code: str
    detail: str  # of the code that was asked for; empty where all codes are counted
    num_files: int


@dataclass(frozen=True)
class Held:
    """What an archive's quarantine holds."""

    num_files: int
    reasons: list[Reason]  # the most frequent first


def run(archive_uri: str, *, code: str = "") -> Held:
    """Return how many quarantined files there are of each reason, or of one code by detail.

    Raises UserError for a code under which nothing is held.
    """
    rows = Archive.open(archive_uri).table("quarantine").to_pylist()
    codes = Counter(row["code"] for row in rows)
    if code and code not in codes:
        raise UserError(f"nothing is quarantined under code {code!r}: the archive has {', '.join(sorted(codes))}")
    shown = (
        Counter((row["code"], row["detail"]) for row in rows if row["code"] == code)
        if code
        else Counter((key, "") for key in codes.elements())
    )
    return Held(len(rows), [Reason(name, detail, count) for (name, detail), count in shown.most_common()])


def table(found: Held) -> Table:
    """Return it for the terminal."""
    with_details = any(reason.detail for reason in found.reasons)
    shown = Table(f"Quarantine, {found.num_files} files")
    shown.add_column("code")
    if with_details:
        shown.add_column("detail")
    shown.add_column("files", right=True)
    for reason in found.reasons:
        shown.add_row(reason.code, *([reason.detail] if with_details else []), str(reason.num_files))
    return shown
