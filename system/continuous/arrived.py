"""What an archive has gained between two of its versions, and how much of that is odd."""

import pyarrow as pa
import pyarrow.compute as pc

from system.archive import Archive
from system.continuous.drift import stability_index
from system.continuous.situation import Arrived
from system.reports.annotated import WITHDRAWN

NO_SIDE = "no-side"  # how column `model` of labels ends where a report names no side
KNOWN_LANGUAGES = ("en", "zh", "pt")  # that the scrubber and the rules know; a region behind it counts as well


def arrived(before: Archive, now: Archive) -> Arrived:
    """Return what came between two states of an archive."""
    files = _new(before, now, "files", ["source", "stamp"])
    reports = _new(before, now, "reports", ["study_id", "version"])
    withdrawn = reports.filter(pc.field("status") == WITHDRAWN)
    read = reports.filter(pc.field("status") != WITHDRAWN)
    labels = now.table("labels", columns=["study_id", "model"])
    no_side = labels.filter(pc.ends_with(pc.field("model"), NO_SIDE))["study_id"]
    languages = [str(language or "").partition("-")[0].lower() for language in read["language"].to_pylist()]
    return Arrived(
        num_files=len(files),
        num_quarantined=len(files.filter(pc.field("code") != "")),
        num_reports=len(read),
        num_no_side=len(read.filter(pc.field("study_id").isin(pc.unique(no_side)))),
        num_unknown_language=sum(language not in KNOWN_LANGUAGES for language in languages),
        num_withdrawn=len(withdrawn),
        num_verdicts=len(_new(before, now, "verdicts", ["image_id", "at"])),
    )


def label_drift(before: Archive, now: Archive) -> float:
    """Return the drift of p_mass between the labels of a state and those that came since; NaN where these are few."""
    breast = ["study_id", "side", "report_version"]
    columns = [*breast, "p_mass"]
    had = before.table("labels", columns=columns)
    new = now.table("labels", columns=columns).join(had.select(breast), keys=breast, join_type="left anti")
    old, fresh = (table.filter(pc.field("p_mass").is_valid())["p_mass"].to_numpy() for table in (had, new))
    return stability_index(old, fresh)


def _new(before: Archive, now: Archive, table: str, key: list[str]) -> pa.Table:
    """Return the rows of a table that came, by their key."""
    has = now.table(table)
    had = before.table(table, columns=key)
    places = has.select(key).append_column("row", pa.array(range(len(has)), pa.int64()))
    new = places.join(had, keys=key, join_type="left anti")["row"].combine_chunks()
    return has.take(new)
