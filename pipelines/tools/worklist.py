"""The worklist of a prediction: its studies by falling suspicion, as a table and as a page with pictures.

It names studies as their source does, so that they can be opened there. Like the other tables of a prediction, which
name files, it is for its owner alone.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from pipelines.tools.predict_out import Cell, Predicted, SourceView
from pipelines.tools.review_out import HANGING, marked
from system.archive import Archive
from system.faults import raise_fault
from system.figures.worklist_page import Thumbnail, WorklistPage, WorklistRow, worklist_page
from system.files.atomic import PRIVATE, write_text
from system.files.csv_out import write_csv
from system.files.names import readable
from system.imaging import DisplayConfig, ImageRefused, read_study_uid, shown_stored
from system.records import Side

WORKLIST, PAGE = "worklist.csv", "worklist.html"
COLUMNS = (
    *("place", "study", "score", "side", "view", "image_id", "file"),
    *("num_candidates", "num_views", "num_unread"),
)
NUM_PICTURED = 200  # studies; pictures of all would make a page that no browser opens
NO_STUDY = ""  # the last row: files that could not be read, of which nothing tells the study


@dataclass(frozen=True)
class StudyFound:
    """One study and what was found in it."""

    name: str  # as the source has it
    views: Sequence[SourceView]  # looked at, the most suspicious first
    num_unread: int
    num_candidates: int
    score: float  # highest of its candidates; 0 without one, NaN where nothing was looked at


def write_worklist(out: Path, predicted: Predicted, *, archive: Archive, detector: str) -> None:
    """Write worklist.csv and worklist.html. archive: the working one, for names and pictures."""
    found = studies(predicted, archive)
    known, unassigned = [each for each in found if each.name], [each for each in found if not each.name]
    rows = [_csv_row(place, study) for place, study in enumerate(known, start=1)]
    rows += [["", NO_STUDY, "", "", "", "", "", "", 0, study.num_unread] for study in unassigned]
    write_csv(out / WORKLIST, COLUMNS, rows, mode=PRIVATE)
    page = WorklistPage(
        rows=[_page_row(place, study, predicted, archive) for place, study in enumerate(known, start=1)],
        detector=detector,
        num_unassigned=sum(study.num_unread for study in unassigned),
        num_pictured=NUM_PICTURED,
    )
    write_text(out / PAGE, worklist_page(page), mode=PRIVATE)


def studies(predicted: Predicted, archive: Archive) -> list[StudyFound]:
    """Return the studies by falling score, then in the order of their files; those without a looked-at file last."""
    files: dict[str, list[SourceView]] = {}
    for view in predicted.views:
        files.setdefault(view.study_id, []).append(view)
    found = [_study(study_id, views, predicted, archive) for study_id, views in files.items()]
    return sorted(found, key=lambda study: -study.score if study.views else 1.0)


def _study(study_id: str, files: Sequence[SourceView], predicted: Predicted, archive: Archive) -> StudyFound:
    scored = [(seen.score, view) for view in files if not view.error and (seen := predicted.of(view))]
    views = [view for _, view in sorted(scored, key=lambda pair: -pair[0])]
    return StudyFound(
        name=_name(study_id, files, archive) if study_id else NO_STUDY,
        views=views,
        num_unread=len(files) - len(views),
        num_candidates=sum(predicted.num_candidates(view) for view in views),
        score=max((score for score, _ in scored), default=float("nan")),
    )


def _name(study_id: str, files: Sequence[SourceView], archive: Archive) -> str:
    """Return a study's name: by a list of the source, else its Study Instance UID, else the name of its first file."""
    if named := next((view.study for view in files if view.study), ""):
        return readable(named)
    for view in (view for view in files if view.key):
        try:
            uid = read_study_uid(view.path)
        except (ImageRefused, OSError, ValueError) as error:
            raise_fault(error)
            continue  # no DICOM file: its layout knows studies otherwise
        if archive.identifier("study", uid) == study_id:
            return uid
    return files[0].file


def _csv_row(place: int, study: StudyFound) -> list[Cell]:
    counts: list[Cell] = [study.num_candidates, len(study.views), study.num_unread]
    if not study.views:
        return [place, study.name, "", "", "", "", "", *counts]
    if not study.num_candidates:
        return [place, study.name, 0, "", "", "", "", *counts]
    first = study.views[0]
    return [place, study.name, round(study.score, 6), first.side, first.view, first.number, first.file, *counts]


def _page_row(place: int, study: StudyFound, predicted: Predicted, archive: Archive) -> WorklistRow:
    first = study.views[0] if study.num_candidates else None
    pictured = study.views if study.num_candidates and place <= NUM_PICTURED else ()
    hung = sorted(pictured, key=lambda view: (HANGING.index((view.view, Side(view.side))), view.number))
    return WorklistRow(
        place=place,
        study=study.name,
        score=study.score,
        where=f"{first.side} {first.view}" if first else "",
        num_candidates=study.num_candidates,
        num_views=len(study.views),
        num_unread=study.num_unread,
        thumbnails=[_thumbnail(view, predicted, archive) for view in hung],
    )


def _thumbnail(view: SourceView, predicted: Predicted, archive: Archive) -> Thumbnail:
    picture = shown_stored(archive.pixels(view.pixel_sha), side=Side(view.side), config=DisplayConfig())
    seen = predicted.of(view)
    boxes = marked(seen.candidates if seen else (), picture)
    return Thumbnail(f"{view.side} {view.view}", picture.pixels, boxes)
