"""What was kept out of an archive, and why; and whether another try has helped."""

from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path

from system.archive import Archive
from system.archive.codes import CODES
from system.archive.delta import one_of
from system.archive.intake import folder_of, source_of
from system.archive.layouts import LAYOUTS
from system.errors import UserError
from system.figures.table import Table
from system.files.names import readable

COLUMNS = ("file", "code", "detail")


@dataclass(frozen=True, slots=True)
class Held:
    """A quarantined file of a source folder."""

    file: str  # path relative to the folder, which the archive does not keep
    code: str
    detail: str


@dataclass(frozen=True, slots=True)
class Retry:
    """The files that are about to be read again."""

    tried: frozenset[str]  # quarantined files of the folder, by keyed hash
    removed: frozenset[str]  # those of them that are not in the folder any more
    elsewhere: frozenset[str]  # quarantined under the same codes, of other folders


@dataclass(frozen=True)
class Reason:
    """Files that were kept out for the same reason."""

    code: str
    detail: str  # of the code that was asked for; empty where all codes are counted
    num_files: int


@dataclass(frozen=True)
class Quarantined:
    """What an archive's quarantine holds."""

    num_files: int
    reasons: list[Reason]  # the most frequent first


def run(archive_uri: str, *, code: str = "") -> Quarantined:
    """Return how many quarantined files there are of each reason, or of one code by detail.

    Raises UserError for a code under which nothing is held.
    """
    rows = Archive.open(archive_uri).table("quarantine").to_pylist()
    codes = {row["code"] for row in rows}
    _check_codes([code] if code else [], codes, held=codes)
    shown: Counter[tuple[str, str]] = (
        Counter((row["code"], row["detail"]) for row in rows if row["code"] == code)
        if code
        else Counter((row["code"], "") for row in rows)
    )
    return Quarantined(len(rows), [Reason(name, detail, count) for (name, detail), count in shown.most_common()])


def table(found: Quarantined) -> Table:
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


def held_in(archive_uri: str, source: Path, *, layout: str, code: str = "") -> list[Held]:
    """Return the quarantined files of a source folder by name, in the layout's order. Nothing is stored.

    code: only these; "" = all

    Raises UserError for an unknown layout, and for a code under which nothing is held.
    """
    archive = Archive.open(archive_uri)
    rows = {row["source"]: row for row in archive.table("quarantine").to_pylist()}
    codes = {row["code"] for row in rows.values()}
    _check_codes([code] if code else [], codes, held=codes)
    names = _names(archive, source, layout=layout)
    found = [(name, rows[key]) for key, name in names.items() if key in rows]
    return [Held(name, row["code"], row["detail"]) for name, row in found if code in {"", row["code"]}]


def held_table(held: Sequence[Held]) -> Table:
    """Return quarantined files as a table for the terminal."""
    shown = Table(f"Quarantine, {len(held)} files of this folder")
    for column in COLUMNS:
        shown.add_column(column)
    for each in held:
        shown.add_row(readable(each.file), each.code, each.detail)
    return shown


def retry_of(archive_uri: str, source: Path, *, layout: str, codes: Collection[str]) -> Retry:
    """Return which files a retry is about; none, where an earlier start has healed all and was stopped after that.

    Raises UserError for an unknown code, and for a folder that none of the files came from.
    """
    archive = Archive.open(archive_uri)
    rows = archive.table("quarantine").to_pylist()
    _check_codes(codes, CODES | {row["code"] for row in rows}, held={row["code"] for row in rows})
    held = {row["source"] for row in rows if row["code"] in codes}
    if not held:
        return Retry(frozenset(), frozenset(), frozenset())
    present = set(_names(archive, source, layout=layout))
    own = one_of("folder", [folder_of(archive, source)])
    of_folder = set(archive.table("files", columns=["source"], where=own)["source"].to_pylist())
    if not (tried := held & (present | of_folder)):
        raise UserError(
            f"none of the {len(held)} files under code {', '.join(sorted(codes))} is of this folder, read as layout "
            f"{layout}: name the folder and the layout with which they were taken in"
        )
    return Retry(frozenset(tried), frozenset(tried - present), frozenset(held - tried))


def retried(archive_uri: str, retry: Retry) -> str:
    """Return in one line how many files were tried, and what became of them."""
    rows = Archive.open(archive_uri).table("quarantine").to_pylist()
    left = {row["source"]: row["code"] for row in rows}
    still = Counter(code for source, code in left.items() if source in retry.tried)
    removed = len(retry.removed - left.keys())
    healed, elsewhere = len(retry.tried - left.keys()) - removed, len(retry.elsewhere - left.keys())
    texts = [f"{len(retry.tried)} files tried, {healed} healed"]
    texts += [f"{removed} removed from the folder"] if removed else []
    texts += [f"{elsewhere} of other folders healed with them"] if elsewhere else []
    texts += [", ".join(f"{count} still {code}" for code, count in sorted(still.items()))] if still else []
    return "; ".join(texts)


def _names(archive: Archive, source: Path, *, layout: str) -> dict[str, str]:
    """Return the files of a source by the keyed hash of their place."""
    if layout not in LAYOUTS:
        raise UserError(f"there is no layout {layout!r}: choose one of {sorted(LAYOUTS)}")
    return {source_of(archive, source, item): item.name for item in LAYOUTS[layout].items(source)}


def _check_codes(codes: Collection[str], known: Collection[str], *, held: Collection[str]) -> None:
    """Raise UserError for a code that is not known. held: those of the archive, for the message."""
    for code in codes:
        if code not in known:
            there = ", ".join(sorted(held)) or "none at all"
            raise UserError(f"nothing is quarantined under code {code!r}: the archive has {there}")
