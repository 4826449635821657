"""Look at one table or annotation file before it is used: its kind, its counts, and all its faults at once.

It is read as `reports`, `ingest` and `review import` read it, so what is refused here is refused there.
"""

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, get_args

from pipelines.tools.review_import import check_lines, shapes_in
from system.archive import Archive
from system.archive.delta import one_of
from system.archive.layouts import SourceItem, SourceReport, dicom, report_table, views
from system.archive.reports_in import readable
from system.archive.scrub import MAX_CHARACTERS
from system.errors import UserError
from system.exchange import CANDIDATE, MASS
from system.files.csv_in import header_of
from system.files.reading import Reading
from system.files.row import folded
from system.mining import VERDICTS
from system.review import VERDICT_COLUMNS, read_coco, read_lines
from system.review.annotations import Annotation
from system.review.outlines import outline_of

Kind = Literal["reports", "truth", "views", "verdicts", "coco"]
COLUMNS: dict[Kind, tuple[str, ...]] = {
    "reports": report_table.COLUMNS,
    "truth": dicom.TRUTH_COLUMNS,
    "views": views.COLUMNS,
    "verdicts": VERDICT_COLUMNS,
}
MAX_PIXELS = 2**28  # of a picture whose outlines are drawn to look at them; no detector has as many


@dataclass(frozen=True, slots=True)
class Checked:
    """What one file holds, and what is wrong with it."""

    file: str  # its name
    kind: Kind
    counts: dict[str, int]
    recognised: list[str]  # written in another way than asked for, and taken
    odd: list[str]  # taken as it is, but worth a look
    faults: list[str] = field(default_factory=list)  # for which the file is refused


def run(file: Path, *, kind: Kind | None = None, archive_uri: str = "") -> Checked:
    """Return what a file holds and all its faults.

    kind: None = recognised by the columns or keys
    archive_uri: where studies and images are looked up; "" = nowhere

    Raises UserError for a file of no known kind.
    """
    archive = Archive.open(archive_uri) if archive_uri else None
    found, reading = kind or kind_of(file), Reading()
    try:
        counts = _LOOKS[found](file, reading, archive)
    except UserError as error:  # of the file as a whole: nothing more can be read
        faults = [*reading.mistakes.lines(), *str(error).splitlines()]
        return Checked(file.name, found, {}, reading.recognised.texts(), reading.odd.texts(), faults)
    return Checked(file.name, found, counts, reading.recognised.texts(), reading.odd.texts(), reading.mistakes.lines())


def kind_of(file: Path) -> Kind:
    """Return the kind of a file. Raises UserError for one whose columns fit none."""
    if file.suffix.lower() == ".parquet":
        return "reports"
    if file.suffix.lower() == ".json":
        return "coco"
    header = set(header_of(file))
    num_known = {kind: len(header & set(map(folded, columns))) for kind, columns in COLUMNS.items()}
    best: Kind = max(COLUMNS, key=lambda kind: (num_known[kind] == len(COLUMNS[kind]), num_known[kind]))
    if 2 * num_known[best] < len(COLUMNS[best]):
        kinds = "; ".join(f"{kind}: {', '.join(columns)}" for kind, columns in COLUMNS.items())
        raise UserError(
            f"{file.name} is no table that is known here by its first line: name its columns ({kinds}), or name its "
            f"kind with --as ({', '.join(get_args(Kind))})"
        )
    return best


def _reports(file: Path, reading: Reading, archive: Archive | None) -> dict[str, int]:
    reports = report_table.read_report_file(file, reading=reading)
    studies = {report.study for report in reports if report.study}
    counts = {"rows without a fault": len(reports), "studies": len(studies)}
    counts |= _counted("status", [report.status for report in reports])
    counts |= _counted("language", [report.language or "not given" for report in reports])
    counts["without a text"] = sum(not (report.description or report.impression) for report in reports)
    if num_too_long := len(reports) - len(readable(reports)):
        reading.odd.add(f"{num_too_long} reports have more than {MAX_CHARACTERS} characters and will be left out")
    return counts | (_studies_in(archive, reports, reading) if archive else {})


def _studies_in(archive: Archive, reports: list[SourceReport], reading: Reading) -> dict[str, int]:
    """Count the studies of which the archive has no image, and the reports that it has already."""
    ids = {report.study: archive.identifier("study", report.study) for report in reports if report.study}
    seen = set(
        archive.table("images", columns=["study_id"], where=one_of("study_id", ids.values()))["study_id"].to_pylist()
    )
    known = archive.table(
        "reports", columns=["study_id", "version"], where=one_of("study_id", ids.values())
    ).to_pylist()
    there = {(row["study_id"], row["version"]) for row in known}
    if unknown := len(set(ids.values()) - seen):
        reading.odd.add(f"{unknown} of {len(ids)} studies have no image in this archive")
    return {
        "studies without an image": unknown,
        "versions that the archive has": len({(ids[r.study], r.version) for r in reports if r.study} & there),
    }


def _truth(file: Path, reading: Reading, archive: Archive | None) -> dict[str, int]:
    """Count a truth.csv; it lies in its source, so the files that it lists are looked for beside it."""
    del archive  # its ids are made of headers, which this list does not have
    items = dicom.read_truth(file, reading=reading)
    _look_for(dicom.image_folder(file.parent), [item.name for item in items], "images", reading)
    _look_for(file.parent / "masks", [mask for item in items for mask in item.masks], "masks", reading)
    known = [item for item in items if item.has_truth]
    return {
        "rows without a fault": len(items),
        "with a mask": sum(bool(item.masks) for item in items),
        "free of masses": sum(not item.num_masses for item in known),
        "masses": sum(item.num_masses for item in items),
        "masses not outlined": sum(item.num_masses for item in items if not item.has_truth),
    } | _counted("split", [item.split or "left to the archive" for item in items])


def _views(file: Path, reading: Reading, archive: Archive | None) -> dict[str, int]:
    items = views.read_views(file, reading=reading)
    _look_for(file.parent, [item.name for item in items], "pictures", reading)
    studies = {item.study for item in items if item.study}
    counts = {"rows without a fault": len(items), "studies": len(studies)} | _shown(items)
    if archive:
        ids = {archive.identifier("study", study) for study in studies}
        seen = archive.table("images", columns=["study_id"], where=one_of("study_id", ids))["study_id"].to_pylist()
        counts["studies that the archive has"] = len(set(seen))
    return counts


def _shown(items: list[SourceItem]) -> dict[str, int]:
    return _counted("view", [f"{item.side} {item.view}" for item in items])


def _verdicts(file: Path, reading: Reading, archive: Archive | None) -> dict[str, int]:
    lines = read_lines(file, reading=reading)
    if archive:
        check_lines(lines, shapes_in(archive), sheet=file.name, mistakes=reading.mistakes)
    judged = [line for line in lines if line.verdict]
    if not judged:
        reading.odd.add("no verdict is filled in")
    counts = {"rows without a fault": len(lines), "judged": len(judged)} | {
        f"verdict {name}": sum(line.verdict == name for line in judged) for name in VERDICTS
    }
    return counts | {"with a box": sum(line.box_px is not None for line in judged)}


def _coco(file: Path, reading: Reading, archive: Archive | None) -> dict[str, int]:
    """Count a COCO file and look at every outline in it; which picture is which image only its sheet tells."""
    del archive
    content = read_coco(file, mistakes=reading.mistakes)
    if content.categories and not content.categories & {MASS.name, CANDIDATE.name}:
        reading.mistakes.add(
            f"{file.name} has the categories {sorted(content.categories)[:10]}: outline masses in one that is called "
            f"{MASS.name!r}"
        )
    for annotation in content.annotations:
        if annotation.category in ("", MASS.name):
            try:
                _look_at(annotation, reading)
            except UserError as error:
                reading.mistakes.add(f"{file.name}: {annotation.label}: {error}")
    counts = {"pictures": len(content.pictures), "annotations": len(content.annotations)}
    return counts | _counted("category", [each.category or "none" for each in content.annotations])


def _look_at(annotation: Annotation, reading: Reading) -> None:
    """Raise UserError for an annotation that outlines nothing."""
    shape = annotation.image.shape
    if shape is None:
        reading.odd.add("the outline was not looked at: its picture has no height and width", at=annotation.label)
    elif shape[0] * shape[1] > MAX_PIXELS:
        raise UserError(f"its picture has {shape[1]} x {shape[0]} px, more than any has: export its true size")
    else:
        outline_of(annotation.content, shape=shape)


_LOOKS: Mapping[Kind, Callable[[Path, Reading, Archive | None], dict[str, int]]] = {
    "reports": _reports,
    "truth": _truth,
    "views": _views,
    "verdicts": _verdicts,
    "coco": _coco,
}


def _counted(what: str, values: list[str]) -> dict[str, int]:
    return {f"{what} {value}": number for value, number in sorted(Counter(values).items())}


def _look_for(folder: Path, names: list[str], what: str, reading: Reading) -> None:
    """Count the listed files that are not in a folder. Their names may be of patients and are not given."""
    if folder.is_dir() and (missing := sum(bool(name) and not (folder / name).is_file() for name in names)):
        reading.odd.add(
            f"{missing} of {len(names)} listed {what} are not in the folder {folder.resolve().name}: "
            "each will be quarantined"
        )
