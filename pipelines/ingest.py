"""Take a source folder into the archive: files are read in Ray tasks, rows are settled and written by the driver."""

import json
import logging
from collections import Counter
from dataclasses import asdict, dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import ray
from rich.table import Table

from system.archive import Archive, IngestConfig
from system.archive.intake import Intake, settle, take
from system.archive.layouts import LAYOUTS, SourceItem, SourceReport
from system.archive.tables import SCHEMAS
from system.records import Side

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class IngestSummary:
    """What became of a source's files."""

    num_read: int = 0
    num_stored: int = 0
    num_already_there: int = 0
    num_reports: int = 0
    quarantined: dict[str, int] = field(default_factory=dict)  # reason code -> files
    patients: dict[str, int] = field(default_factory=dict)  # split -> patients of the whole archive
    archive_versions: dict[str, int] = field(default_factory=dict)


def run(source: Path, archive_uri: str, *, layout: str, config: IngestConfig) -> IngestSummary:
    """Ingest a folder and return what became of its files; a file that cannot be used costs one row in `quarantine`.

    layout: a name in LAYOUTS.  Done twice it changes nothing the second time.  Ray is started by the caller.
    """
    if layout not in LAYOUTS:
        raise ValueError(f"there is no layout {layout!r}: choose one of {sorted(LAYOUTS)}")
    archive = Archive.create(archive_uri, imaging=config.imaging, site_key=config.site_key())
    items = LAYOUTS[layout].items(source)
    if not items:
        raise ValueError(f"the source has no image files for layout {layout!r}: check its folder")
    intakes = _take_all(items, source=source, archive_uri=archive_uri, layout=layout, files_per_task=config.files_per_task)
    settled = settle(archive, intakes, config=config.split, overwrite=config.overwrite)
    sides = {intake.name: Side(intake.side) for intake in intakes if not intake.code}
    reports = _report_rows(archive, LAYOUTS[layout].reports(source, sides=sides), report_source=LAYOUTS[layout].report_source)
    for name, rows in (("quarantine", settled.quarantine), ("masks", settled.masks), ("reports", reports), ("images", settled.images)):
        if rows.num_rows:
            archive.upsert(name, rows)
    summary = IngestSummary(
        num_read=len(items),
        num_stored=settled.images.num_rows,
        num_already_there=settled.num_already_there,
        num_reports=reports.num_rows,
        quarantined=dict(Counter(sorted(settled.quarantine["code"].to_pylist()))),
        patients=_patients_per_split(archive),
        archive_versions=archive.versions(),
    )
    log.info("ingested %s: %s", layout, json.dumps(asdict(summary), sort_keys=True))
    return summary


def _take_all(items: list[SourceItem], *, source: Path, archive_uri: str, layout: str, files_per_task: int) -> list[Intake]:
    """Read every item in Ray tasks; pixels go straight to the store, only rows come back. Ordered by item name."""
    num_blocks = -(-len(items) // files_per_task)
    texts = ray.data.from_items([json.dumps(asdict(item)) for item in items], override_num_blocks=num_blocks)
    take_batch = partial(_take_batch, source=str(source.resolve()), archive_uri=archive_uri, layout=layout)
    rows = texts.map_batches(take_batch, batch_size=None, batch_format="numpy")
    intakes = [Intake(**json.loads(row["intake"])) for row in rows.iter_rows()]
    return sorted(intakes, key=lambda intake: intake.name)


def _take_batch(batch: Any, *, source: str, archive_uri: str, layout: str) -> dict[str, np.ndarray]:
    """Take in one block of items; errors are rows too.

    batch: `item`, the items as JSON -> `intake`, the intakes as JSON
    """
    archive = Archive.open(archive_uri)
    items = (SourceItem(**json.loads(text)) for text in batch["item"])
    intakes = [take(archive, LAYOUTS[layout], source=Path(source), item=item) for item in items]
    return {"intake": np.array([json.dumps(asdict(intake)) for intake in intakes], dtype=object)}


def _report_rows(archive: Archive, reports: list[SourceReport], *, report_source: str) -> pa.Table:
    """Return rows of `reports`; of one version told twice the last counts."""
    rows = {}
    for report in reports:
        row = asdict(report)
        row |= {"study_id": archive.identifier("study", row.pop("study")), "source": report_source}
        rows[row["study_id"], row["version"]] = row
    return pa.Table.from_pylist(list(rows.values()), schema=SCHEMAS["reports"])


def _patients_per_split(archive: Archive) -> dict[str, int]:
    patients = archive.table("images", columns=["patient_id", "split"]).group_by(["patient_id", "split"]).aggregate([])
    return dict(sorted(Counter(patients["split"].to_pylist()).items()))


def summary_table(summary: IngestSummary) -> Table:
    """Return the summary as a table for the terminal."""
    table = Table(title="Ingest", title_justify="left")
    table.add_column("what")
    table.add_column("number", justify="right")
    counts = {"read": summary.num_read, "stored": summary.num_stored, "already there": summary.num_already_there}
    counts |= {f"quarantined: {code}": count for code, count in summary.quarantined.items()}
    counts |= {"reports": summary.num_reports} | {f"patients, {split}": count for split, count in summary.patients.items()}
    for what, count in counts.items():
        table.add_row(what, str(count))
    return table
