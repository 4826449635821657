"""What an archive has gained since a run read it, and whether the run can take it in."""

import pyarrow as pa
import pyarrow.compute as pc

from system.archive import Archive, check_no_leak
from system.errors import UserError
from system.records import Split
from system.reports.annotated import COUNTED_STATUSES, WITHDRAWN
from system.run.results import Arrivals

_HELD_OUT = pc.field("split").isin([str(Split.VALIDATION), str(Split.TEST)])


def arrivals(before: Archive, now: Archive) -> Arrivals:
    """Return what is new in an archive. before, now: the same one at two times."""
    had, has = (archive.table("images", columns=["study_id", "split"]) for archive in (before, now))
    studies = _new(had, has, ["study_id", "split"])
    reports = _last_reports(now).join(_last_reports(before), keys="study_id", right_suffix="_before")
    counts = pc.field("status") != WITHDRAWN
    known = pc.field("version_before").is_valid() & (pc.field("status_before") != WITHDRAWN)
    return Arrivals(
        num_studies=len(studies),
        num_held_out=len(studies.filter(_HELD_OUT)),
        num_reports=len(reports.filter(counts)) - len(reports.filter(counts & known)),
        num_corrected=len(reports.filter(counts & known & (pc.field("version") > pc.field("version_before")))),
        num_withdrawn=len(reports.filter(~counts & known)),
        num_verdicts=len(_new(before.table("verdicts"), now.table("verdicts"), ["image_id", "at"])),
        num_outlined=len(_new(before.table("masks"), now.table("masks"), ["image_id", "mask_sha"])),
    )


def check_same_patients(before: pa.Table, now: pa.Table) -> None:
    """Raise UserError where a run cannot go on with an archive that has changed since it began.

    before, now: rows of `images`, when the run began and now
    """
    check_no_leak(now)
    held_out, learned = _patients(before.filter(_HELD_OUT)), _patients(before.filter(~_HELD_OUT))
    torn = held_out & _patients(now.filter(~_HELD_OUT)) | learned & _patients(now.filter(_HELD_OUT))
    if torn:
        raise UserError(
            f"{len(torn)} patients have changed between training and held-out since the run began, so it would be "
            "measured on patients that it has learned from: start a new run"
        )


def _patients(images: pa.Table) -> set[str]:
    return set(pc.unique(images["patient_id"]).to_pylist())


def _new(before: pa.Table, now: pa.Table, columns: list[str]) -> pa.Table:
    """Return the rows of `now`, by some columns and each once, that `before` does not have."""
    had, has = (table.group_by(columns).aggregate([]) for table in (before, now))
    return has.join(had, keys=columns, join_type="left anti")


def _last_reports(archive: Archive) -> pa.Table:
    """Return study_id, version and status of each study's report that counts."""
    rows = archive.table("reports", columns=["study_id", "version", "status"])
    rows = rows.filter(pc.field("status").isin(COUNTED_STATUSES))
    last = rows.group_by("study_id").aggregate([("version", "max")]).rename_columns(["study_id", "version"])
    return last.join(rows, keys=["study_id", "version"])
