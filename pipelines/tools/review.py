"""Review: export the images that a radiologist should judge next, and import the verdicts into the archive."""

import logging
import shutil
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pyarrow as pa

from pipelines.tools.review_out import (
    COCO,
    QUEUE,
    SOURCE_PICTURES,
    Pictures,
    Queue,
    Queued,
    Tool,
    sentences_of,
    studies_of,
    write_queue,
)
from pipelines.tools.review_source import SourceFolder, draw_from_source
from system.archive import Archive
from system.archive.tables import SCHEMAS
from system.errors import Mistakes, UserError
from system.imaging import DisplayConfig, Geometry, stored_geometry
from system.mining.columns_in import labels_of
from system.mining.rules import disputed, quadrants, sure_score
from system.records import Side
from system.review import (
    Drawn,
    DrawnFile,
    Judgement,
    Proposed,
    QueueConfig,
    Sheet,
    acquire,
    answered,
    drawn_on,
    from_box,
    in_view,
    read_coco,
    read_drawn,
    read_lines,
)
from system.rounds import RoundsConfig
from system.run.folder import RunFolder
from system.run.predictions import Prediction, read_predictions
from system.run.results import InferResult
from system.run.stage import Stage

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class VerdictImport:
    """What an import brought."""

    verdicts: dict[str, int]  # verdict -> images
    num_outlined: int  # of them with a mask, which will train as annotated images
    left_out: dict[str, int]  # annotations that are no outlines of a radiologist: the network's, other categories


@dataclass(frozen=True, slots=True)
class Shown:
    """How a queue is shown."""

    source: SourceFolder | None = None  # whose files are drawn; None: the pictures are the archive's views
    display: DisplayConfig = field(default_factory=DisplayConfig)
    tools: tuple[Tool, ...] = ()  # whose own files are written, beside candidates.coco.json


_AS_KEPT = Shown()


def export(
    run: Path,
    number: int,
    out: Path,
    *,
    config: QueueConfig,
    archive_uri: str = "",
    shown: Shown = _AS_KEPT,
) -> dict[str, int]:
    """Write queue.csv, pictures, pages and files for annotation tools for a round's weak images; count them by reason.

    archive_uri: where the run's archive lies now; "" = where it lay when the run was started
    shown: where the pictures come from, how they look, and for which tools they are

    Images that were judged already are left out. Raises NotFinished when the round was not inferred, UserError when
    `out` holds a queue.
    """
    if (out / QUEUE).exists():
        raise UserError(f"--out {out.name} holds a queue, perhaps filled in: choose another folder")
    folder = RunFolder(run.resolve())
    settings, archive = folder.config(), folder.archive(uri=archive_uri)
    stage = folder.round(number).predictions
    images = _open_images(stage, archive)
    chosen = _choose(images, archive, rounds=settings.rounds, config=config)
    studies = studies_of(chosen, archive)
    queue = Queue(
        chosen=chosen,
        studies=studies,
        seen={image.image_id: image for image in images},
        sentences=sentences_of(list(studies), archive, config=settings.reports),
    )
    pictures = Pictures(archive, out / SOURCE_PICTURES, shown.display)
    shutil.rmtree(pictures.folder, ignore_errors=True)  # of an export that was killed, in another size perhaps
    if shown.source:
        pictures.folder.mkdir(parents=True, exist_ok=True)
        wanted = {view.image_id: view.layout for views in studies.values() for view in views}
        draw_from_source(wanted, archive, source=shown.source, folder=pictures.folder, display=shown.display)
    write_queue(out, queue, pictures=pictures, stage=stage, tools=shown.tools)
    return dict(Counter(queued.why for queued in chosen))


def take_in(sheet: Path, archive_uri: str, *, reader: str, coco: Path | None = None) -> VerdictImport:
    """Write a filled-in queue.csv into the archive's `verdicts`; the same file again changes nothing.

    coco: the annotations as edited by the radiologist: COCO JSON, or the own form of Label Studio (JSON) or CVAT (XML).
    Their outlines and boxes, of the category mass, come before boxes in the sheet, their answers fill its empty
    verdicts. The exported candidates.coco.json beside the sheet tells which boxes are the network's.

    Raises UserError with all mistakes in the sheet, by line, and in the annotations, by id: each one that a
    radiologist may have drawn is used, or named. Also for images that the archive does not have.
    """
    archive, lines, mistakes = Archive.open(archive_uri), read_lines(sheet), Mistakes()
    drawn_file = read_drawn(coco, mistakes=mistakes) if coco else None
    if drawn_file:
        lines = answered(lines, drawn_file, sheet=sheet.name, mistakes=mistakes)
    images = archive.table("images", columns=["image_id", "rows", "cols"]).to_pylist()
    shapes = {row["image_id"]: (row["rows"], row["cols"]) for row in images}
    if unknown := len({line.image_id for line in lines if line.verdict and line.image_id not in shapes}):
        raise UserError(
            f"{sheet.name} judges {unknown} images that this archive does not have: "
            "name the archive it was exported from"
        )
    on = _sheet(sheet, [line for line in lines if line.image_id in shapes], shapes, mistakes=mistakes)
    _check_boxes(on, mistakes=mistakes)
    drawn = _drawn(sheet, on, drawn_file, mistakes=mistakes) if drawn_file else Drawn()
    masks = drawn.masks | _masks_of_boxes(on, without=drawn.masks, mistakes=mistakes)
    mistakes.refuse()
    # the time of the files, so that the same files are the same verdicts
    at = datetime.fromtimestamp(max(path.stat().st_mtime for path in (sheet, coco) if path), UTC).isoformat()
    rows = []
    for judgement in {line.image_id: line for line in lines if line.verdict}.values():
        sha = archive.put_pixels(masks[judgement.key]) if judgement.key in masks else ""
        facts = {"image_id": judgement.image_id, "verdict": judgement.verdict, "why": judgement.why}
        rows.append(facts | {"mask_sha": sha, "reader": reader, "at": at})
    if rows:
        archive.upsert("verdicts", pa.Table.from_pylist(rows, schema=SCHEMAS["verdicts"]))
    verdicts = dict(Counter(row["verdict"] for row in rows))
    return VerdictImport(verdicts, sum(bool(row["mask_sha"]) for row in rows), drawn.left_out)


def _open_images(stage: Stage[InferResult], archive: Archive) -> list[Prediction]:
    """Return the round's readable images that nobody has judged, by key."""
    judged = set(Archive.open(archive.uri).table("verdicts", columns=["image_id"])["image_id"].to_pylist())
    found = [
        prediction
        for prediction in read_predictions(stage)
        if not prediction.error and prediction.image_id not in judged
    ]
    if not found:
        raise UserError(f"{stage.name} has no image left to be judged")
    return sorted(found, key=lambda prediction: prediction.image_key)


def _choose(
    images: Sequence[Prediction], archive: Archive, *, rounds: RoundsConfig, config: QueueConfig
) -> list[Queued]:
    breasts = pa.table({"study_id": [image.study_id for image in images], "side": [image.side for image in images]})
    p_mass = labels_of(breasts, archive.table("labels"))
    scores, entropies = (
        np.array([getattr(image, name) for image in images], np.float32) for name in ("score", "entropy")
    )
    has_mask = np.array([image.has_mask for image in images], bool)
    quadrant = quadrants(p_mass, has_mask, p0=rounds.p0.values(rounds.train.num_epochs)[-1])
    marked = disputed(
        scores, quadrant, limit=sure_score(scores, quadrant), judged=np.zeros(len(images), bool)
    )  # judged images are not among these
    places, reasons = acquire(p_mass, scores, entropies, marked, p0=rounds.p0.start, config=config)
    return [
        Queued(number, images[place], float(p_mass[place]), str(why))
        for number, (place, why) in enumerate(zip(places, reasons, strict=True), start=1)
    ]


def _sheet(
    file: Path, lines: Sequence[Judgement], shapes: Mapping[str, tuple[int, int]], *, mistakes: Mistakes
) -> Sheet:
    """Return the lines by picture, with the way from each picture to the archive's view."""
    by_picture: dict[str, list[Judgement]] = {}
    frames: dict[str, Geometry] = {}
    for line in lines:
        by_picture.setdefault(line.key, []).append(line)
        rows, cols = shapes[line.image_id]
        frame = line.frame or stored_geometry(rows, cols, side=Side.LEFT)
        if frames.setdefault(line.key, frame) != frame or (frame.rows, frame.cols) != (rows, cols):
            mistakes.add(
                f"{file.name} line {line.line}, geometry: it is of another picture, or of an archive with other views: "
                "restore it from the exported sheet"
            )
            frames[line.key] = stored_geometry(rows, cols, side=Side.LEFT)
    return Sheet(file.name, by_picture, frames)


def _check_boxes(sheet: Sheet, *, mistakes: Mistakes) -> None:
    """Add the boxes that do not lie on their pictures."""
    for picture, lines in sheet.lines.items():
        rows, cols = sheet.shape(picture)
        for line in lines:
            if line.box_px and (line.box_px[2] > cols or line.box_px[3] > rows):
                mistakes.add(
                    f"{sheet.name} line {line.line}: the box ends at {line.box_px[2]}, {line.box_px[3]}, but the "
                    f"picture has {cols} x {rows} px: give the box in the picture's pixels"
                )


def _drawn(file: Path, sheet: Sheet, drawn_file: DrawnFile, *, mistakes: Mistakes) -> Drawn:
    """Return what the radiologist drew in an annotation tool."""
    exported = file.parent / COCO
    proposed = None
    if exported.is_file() and not exported.samefile(drawn_file.path):
        proposed = Proposed.read(read_coco(exported, mistakes=mistakes), mistakes=mistakes)
    return drawn_on(sheet, drawn_file, proposed=proposed, mistakes=mistakes)


def _masks_of_boxes(sheet: Sheet, *, without: Collection[str], mistakes: Mistakes) -> dict[str, np.ndarray]:
    """Return, by picture, the outlines [H, W] bool that the sheet's own boxes stand for."""
    masks: dict[str, np.ndarray] = {}
    for picture in sheet.lines.keys() - without:
        for line, box in sheet.boxes(picture):
            try:
                mask = in_view(from_box(box, shape=sheet.shape(picture)), sheet.frames[picture])
            except UserError as error:
                mistakes.add(f"{sheet.name} line {line.line}: the box: {error}")
                continue
            masks[picture] = masks[picture] | mask if picture in masks else mask
    return masks
