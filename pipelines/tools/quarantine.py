"""What was kept out of an archive, and why."""

from collections import Counter

from rich.table import Table

from system.archive import Archive
from system.errors import UserError


def run(archive_uri: str, *, code: str = "") -> Table:
    """Return the quarantined files as a table for the terminal: how many of each reason, or of one code by detail.

    Raises UserError for a code under which nothing is held.
    """
    rows = Archive.open(archive_uri).table("quarantine").to_pylist()
    codes = Counter(row["code"] for row in rows)
    if code and code not in codes:
        raise UserError(f"nothing is quarantined under code {code!r}: the archive has {sorted(codes)}")
    shown = (
        Counter((row["code"], row["detail"]) for row in rows if row["code"] == code)
        if code
        else Counter((key, "") for key in codes.elements())
    )
    table = Table(title=f"Quarantine, {len(rows)} files", title_justify="left")
    table.add_column("code")
    table.add_column("detail" if code else "")
    table.add_column("files", justify="right")
    for (name, detail), count in shown.most_common():
        table.add_row(name, detail, str(count))
    return table
