"""Take a table of reports into an archive, without images and without Ray."""

import logging
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa

from system.archive import Archive
from system.archive.delta import one_of
from system.archive.layouts.report_table import read_report_file
from system.archive.reports_in import readable, report_rows, too_long

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class ReportImport:
    """What a table of reports brought."""

    new: dict[str, int]  # status -> reports whose study and version the archive did not have
    num_changed: int  # the archive had their study and version with another text
    num_known: int  # the archive had them word for word
    num_without_image: int  # studies of which the archive has no image

    @property
    def num_reports(self) -> int:
        """The reports of the table that could be read."""
        return sum(self.new.values()) + self.num_changed + self.num_known


def run(file: Path, archive_uri: str) -> ReportImport:
    """Take reports without images into an archive; the same file twice changes nothing.

    Raises UserError with every wrong line of the table.
    """
    archive, reports = Archive.open(archive_uri), read_report_file(file)
    kept = readable(reports)
    rows = report_rows(archive, kept, report_source="hospital")
    taken = _compared(archive, rows)
    if rows.num_rows:
        archive.upsert("reports", rows)
    log.info("%d reports taken in, reports are at version %d", rows.num_rows, archive.version("reports"))
    if num_too_long := len(reports) - len(kept):
        log.warning(too_long(num_too_long))
    if taken.num_without_image:
        log.warning(
            "%d studies are in no image of this archive: their reports wait until their images are taken in",
            taken.num_without_image,
        )
    return taken


def _compared(archive: Archive, rows: pa.Table) -> ReportImport:
    """Compare the rows with what the archive has."""
    studies = sorted(set(rows["study_id"].to_pylist()))
    where = one_of("study_id", studies)
    before = {(row["study_id"], row["version"]): row for row in archive.table("reports", where=where).to_pylist()}
    seen = set(archive.table("images", columns=["study_id"], where=where)["study_id"].to_pylist())
    new, num_changed, num_known = Counter[str](), 0, 0
    for row in rows.to_pylist():
        known = before.get((row["study_id"], row["version"]))
        if known is None:
            new[row["status"]] += 1
        elif known == row:
            num_known += 1
        else:
            num_changed += 1
    return ReportImport(dict(sorted(new.items())), num_changed, num_known, len(set(studies) - seen))
