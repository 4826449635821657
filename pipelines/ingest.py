"""Take a source folder into the archive: files are read in Ray tasks, rows are settled and written by the driver."""

import json
import logging
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from functools import lru_cache, partial
from itertools import groupby
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from system.archive import Archive, IngestConfig, SplitConfig, num_repeats
from system.archive.delta import one_of
from system.archive.fence import Fence, ReadJob, item_from_json
from system.archive.intake import Intake, folder_of, source_of, stamp_of
from system.archive.layouts import LAYOUTS, SourceItem
from system.archive.one_person import NotOnePatient, collective_ids, seen_in
from system.archive.pairs import BREAST
from system.archive.reports_in import readable, report_rows, too_long
from system.archive.rivals import CONFLICT, others_of, reopen
from system.archive.settle import SettledRows, write_settled
from system.archive.tables import SCHEMAS
from system.errors import UserError
from system.figures.console import two_columns
from system.figures.table import Table
from system.place import PLACE
from system.records import Side, Split

SETTLED_AT_ONCE = 20_000  # files
SECONDS_BETWEEN_LINES = 10.0
IN_WORDS = {
    Split.STRONG: "that train",
    Split.VALIDATION: "that validate",
    Split.TEST: "that test",
    Split.WEAK: "that become weak, masks unused",
}
log = logging.getLogger(__name__)


@dataclass(frozen=True)
class IngestSummary:
    """What became of a source's files."""

    num_files: int = 0
    num_read: int = 0  # opened now; the others were read before and have not changed
    num_stored: int = 0
    num_already_there: int = 0
    num_withdrawn: int = 0  # images of the archive that another file contradicts: it has their UID and another picture
    num_reports: int = 0
    num_reports_too_long: int = 0  # left out
    quarantined: dict[str, int] = field(default_factory=dict)  # reason code -> files
    patients: dict[str, int] = field(default_factory=dict)  # split -> patients of the whole archive
    annotated: dict[str, int] = field(default_factory=dict)  # split -> those whose masses are outlined in all images
    # why -> patients of the whole archive who are not identified and never held out
    unidentified: dict[str, int] = field(default_factory=dict)
    num_repeats: int = 0  # images of the whole archive that show a breast in a view which its study has already
    archive_versions: dict[str, int] = field(default_factory=dict)


@dataclass(frozen=True)
class Source:
    """A folder to take in, and how."""

    folder: Path
    layout: str  # key of LAYOUTS
    archive: Archive
    config: IngestConfig
    items: dict[str, SourceItem]  # by the keyed hash of the file's place, in the layout's order


def run(
    source: Path, archive_uri: str, *, layout: str, config: IngestConfig, again: frozenset[str] = frozenset()
) -> IngestSummary:
    """Ingest a folder and return what became of its files; a file that cannot be used costs one row in `quarantine`.

    layout: a name in LAYOUTS;  again: quarantine codes whose files are read again
    What was read before is not read again, so a killed job is simply started again, and several may work on
    one archive. Ray is started by the caller.
    """
    if layout not in LAYOUTS:
        raise UserError(f"there is no layout {layout!r}: choose one of {sorted(LAYOUTS)}")
    archive = Archive.create(archive_uri, imaging=config.imaging, site_key=config.site_key())
    items = {source_of(archive, source, item): item for item in LAYOUTS[layout].items(source)}
    if not items:
        raise UserError(f"the source has no image files for layout {layout!r}: check its folder")
    items = {place: item for place, item in items.items() if _settled(source, item, layout=layout, config=config)}
    here = Source(source.resolve(), layout, archive, config, items)
    LAYOUTS[layout].reports(source, sides={})  # a mistake in their table is found now, not after the images were read
    with PLACE.at("in ingest"):
        contested = _reopen(here) if CONFLICT in again else set[str]()
        num_read = _read(here, _unread(here, again=again))
        settled = _settle(here, contested=contested)
        num_reports, num_too_long = _store_reports(here)
    summary = IngestSummary(
        num_files=len(items),
        num_read=num_read,
        num_stored=sum(part.images.num_rows for part in settled),
        num_already_there=sum(part.num_already_there for part in settled),
        num_withdrawn=sum(part.num_withdrawn for part in settled),
        num_reports=num_reports,
        num_reports_too_long=num_too_long,
        quarantined=_quarantined(here, settled),
        patients=_patients_per_split(archive),
        annotated=_annotated_per_split(archive),
        unidentified=_unidentified(archive, config=config.split),
        num_repeats=num_repeats(archive.table("images", columns=BREAST)),
        archive_versions=archive.versions(),
    )
    archive.compact()
    log.info("ingested %s: %s", layout, in_words(summary))
    for warning in warnings(summary):
        log.warning(warning)
    return summary


def _settled(source: Path, item: SourceItem, *, layout: str, config: IngestConfig) -> bool:
    """Return whether the item's files were last changed long enough ago; one that is not there is said later."""
    if not config.settle_s:
        return True
    latest_s = time.time() - config.settle_s
    return all(path.stat().st_mtime <= latest_s for path in LAYOUTS[layout].files(source, item) if path.exists())


def _unread(here: Source, *, again: frozenset[str]) -> list[SourceItem]:
    """Return the items that were never read, have changed since, or are quarantined under one of the codes.

    With `force` all of them are returned.
    """
    if here.config.force:
        return list(here.items.values())
    known = here.archive.table("files", columns=["source", "stamp"], where=one_of("source", here.items))
    stamps = dict(zip(known["source"].to_pylist(), known["stamp"].to_pylist(), strict=True))
    held = here.archive.table("quarantine", columns=["source"], where=one_of("code", again))["source"].to_pylist()
    stamps = {source: stamp for source, stamp in stamps.items() if source not in set(held)}
    layout = LAYOUTS[here.layout]
    return [
        item
        for source, item in here.items.items()
        if stamps.get(source) != stamp_of(here.archive, layout, source=here.folder, item=item, dicom=here.config.dicom)
    ]


def _read(here: Source, items: list[SourceItem]) -> int:
    """Read the items in Ray tasks and write their rows of `files` as they come; pixels go straight to the store."""
    if not items:
        return 0
    import ray  # `mammoloop reports` does without

    num_blocks = -(-len(items) // here.config.files_per_task)
    texts = ray.data.from_items([json.dumps(asdict(item)) for item in items], override_num_blocks=num_blocks)
    job = ReadJob(
        here.archive.uri,
        here.layout,
        str(here.folder),
        here.config.dicom,
        memory_mib=here.config.memory_mib,
        timeout_s=here.config.timeout_s,
    )
    rows = texts.map_batches(partial(_read_batch, job=job.to_json()), batch_size=None, batch_format="numpy")
    start_s = told_s = time.monotonic()
    num_read, waiting = 0, []
    for batch in rows.iter_batches(batch_size=None, batch_format="numpy"):
        waiting += [json.loads(text) for text in batch["intake"]]
        num_read += len(batch["intake"])
        PLACE.how_far = f"{num_read} of {len(items)} files"
        if len(waiting) >= here.config.files_per_commit or num_read == len(items):
            here.archive.upsert("files", pa.Table.from_pylist(waiting, schema=SCHEMAS["files"]))
            waiting = []
        if num_read == len(items) or time.monotonic() - told_s >= SECONDS_BETWEEN_LINES:
            told_s = time.monotonic()
            log.info("read %s, %.1f files/s", PLACE.how_far, num_read / (told_s - start_s))
    return num_read


def _read_batch(batch: Any, *, job: str) -> dict[str, np.ndarray]:
    """Read one block of items behind the fence; errors are rows too.

    batch: `item`, the items as JSON -> `intake`, the rows as JSON
    """
    fence = _fence(job)
    intakes = [fence.take(item_from_json(text)) for text in batch["item"]]
    return {"intake": np.array([json.dumps(asdict(intake)) for intake in intakes], dtype=object)}


@lru_cache(maxsize=1)
def _fence(job: str) -> Fence:
    """Return this worker's reading process, kept for all blocks of a job; it ends with the worker."""
    return Fence(ReadJob.from_json(job))


def _reopen(here: Source) -> set[str]:
    """Return the UIDs for whose rivals files of this folder wait; those that were removed from it are forgotten."""
    return reopen(here.archive, folder=folder_of(here.archive, here.folder), present=here.items)


def _quarantined(here: Source, settled: list[SettledRows]) -> dict[str, int]:
    """Return how many files of this source are kept out, by code."""
    rows = [row for part in settled for row in part.quarantine.to_pylist() if row["source"] in here.items]
    return dict(sorted(Counter(row["code"] for row in rows).items()))


def _settle(here: Source, *, contested: set[str]) -> list[SettledRows]:
    """Write what the files add to the archive, whole patients at a time, in the order of the source.

    contested: image ids of which files in other folders are settled too
    """
    rows = here.archive.table("files", where=one_of("source", here.items))
    place = {source: number for number, source in enumerate(here.items)}
    found = [Intake(**row) for row in rows.to_pylist()] + others_of(here.archive, contested, present=here.items)
    intakes = sorted(found, key=lambda intake: (intake.patient_id, place.get(intake.source, len(place))))
    return [
        write_settled(here.archive, part, config=here.config.split, overwrite=here.config.force)
        for part in _whole_patients(intakes, size=SETTLED_AT_ONCE)
    ]


def _whole_patients(intakes: list[Intake], *, size: int) -> Iterator[list[Intake]]:
    """Cut intakes that are ordered by patient into parts of at least `size`, never within a patient."""
    part: list[Intake] = []
    for _, images in groupby(intakes, key=lambda intake: intake.patient_id):
        part += images
        if len(part) >= size:
            yield part
            part = []
    if part:
        yield part


def _store_reports(here: Source) -> tuple[int, int]:
    """Write the source's reports; return how many, and how many were left out because they are too long."""
    layout = LAYOUTS[here.layout]
    taken = here.archive.table("files", columns=["source", "side", "code"], where=one_of("source", here.items))
    sides = {here.items[row["source"]].name: Side(row["side"]) for row in taken.to_pylist() if not row["code"]}
    reports = layout.reports(here.folder, sides=sides)
    kept = readable(reports)
    rows = report_rows(here.archive, kept, report_source=layout.report_source)
    if rows.num_rows:
        here.archive.upsert("reports", rows)
    return rows.num_rows, len(reports) - len(kept)


def _patients_per_split(archive: Archive) -> dict[str, int]:
    patients = archive.table("images", columns=["patient_id", "split"]).group_by(["patient_id", "split"]).aggregate([])
    return dict(sorted(Counter(patients["split"].to_pylist()).items()))


def _annotated_per_split(archive: Archive) -> dict[str, int]:
    """Return how many patients of each split have complete truth: the places of all masses in all their images."""
    files = archive.table("files", columns=["patient_id", "has_truth", "code"]).to_pandas()
    complete = files[files["code"] == ""].groupby("patient_id")["has_truth"].all()
    images = archive.table("images", columns=["patient_id", "split"]).to_pandas().drop_duplicates("patient_id")
    annotated = images[images["patient_id"].isin(complete[complete].index)]
    return dict(sorted(Counter(annotated["split"]).items()))


def _unidentified(archive: Archive, *, config: SplitConfig) -> dict[str, int]:
    """Return how many patients are none that a source identifies, by reason."""
    files = archive.table("files", columns=["patient_id", "study_id", "birth", "code", "patient_known"])
    used = files.filter(pc.field("code") == "")
    nobody = len(pc.unique(used.filter(~pc.field("patient_known"))["patient_id"]))
    collective = Counter(collective_ids(seen_in(used), config=config).values())
    return {str(why): count for why, count in [(NotOnePatient.NOBODY, nobody), *sorted(collective.items())] if count}


def warnings(summary: IngestSummary) -> Iterator[str]:
    """Give a sentence for each split that a run will miss, and for annotations that it will not use."""
    for why in (NotOnePatient.BIRTH_DATES, NotOnePatient.STUDIES):
        if count := summary.unidentified.get(why):
            yield (
                f"{count} patient IDs have {why} for one person: they are never held out; if they are of one person "
                "each, raise ingest.split.max_birth_dates or .max_studies"
            )
    if summary.num_withdrawn:
        yield (
            f"{summary.num_withdrawn} images were withdrawn: another file has the same UID and another picture; "
            f"remove the wrong file, then `mammoloop quarantine retry --code {CONFLICT}`, or take the right one in "
            "with --force"
        )
    if unused := summary.annotated.get(Split.WEAK, 0):
        yield (
            f"{unused} of {sum(summary.annotated.values())} annotated patients are weak: their masks are not used in "
            "training; set ingest.split.weak to 0 to train on them"
        )
    if summary.num_reports_too_long:
        yield too_long(summary.num_reports_too_long)
    if not summary.patients.get(Split.WEAK):
        yield "no patient is weak, rounds have nothing to mine: take in patients with reports, or set ingest.split.weak"
    for split in (Split.STRONG, Split.VALIDATION, Split.TEST):
        if summary.patients and not summary.patients.get(split):
            yield f"no patient is in split {split}: set ingest.split.{split}, or let the source give the splits"


def in_words(summary: IngestSummary) -> str:
    """Return what became of the files as a line."""
    kept_out = sum(summary.quarantined.values())
    return (
        f"{summary.num_files} files, {summary.num_read} of them read now; {summary.num_stored} images stored, "
        f"{summary.num_already_there} already there, {kept_out} quarantined; {summary.num_reports} reports"
    )


def summary_table(summary: IngestSummary) -> Table:
    """Return the summary as a table for the terminal."""
    counts = {
        "files": summary.num_files,
        "read": summary.num_read,
        "stored": summary.num_stored,
        "already there": summary.num_already_there,
    }
    counts |= {"withdrawn, contradicted by another file": summary.num_withdrawn} if summary.num_withdrawn else {}
    counts |= {f"quarantined: {code}": count for code, count in summary.quarantined.items()}
    counts |= {"reports": summary.num_reports}
    counts |= {"reports, too long": summary.num_reports_too_long} if summary.num_reports_too_long else {}
    counts |= {f"patients, {split}": count for split, count in summary.patients.items()}
    counts |= {f"annotated patients, {IN_WORDS[Split(split)]}": count for split, count in summary.annotated.items()}
    counts |= {f"patients, {why}, never held out": count for why, count in summary.unidentified.items()}
    if summary.num_repeats:
        counts["repeated views, a pair of their own each"] = summary.num_repeats
    return two_columns("Ingest", counts)
