"""Import verdicts into an archive. Loads no network: it is done beside a radiologist, and often."""

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pyarrow as pa

from system.archive import Archive
from system.archive.tables import SCHEMAS
from system.errors import Mistakes, UserError
from system.files.reading import Reading
from system.imaging import Geometry, stored_geometry
from system.records import Side
from system.review import (
    Drawn,
    DrawnFile,
    Judgement,
    Proposed,
    Sheet,
    answered,
    drawn_on,
    from_box,
    in_view,
    read_coco,
    read_drawn,
    read_lines,
)

COCO = "candidates.coco.json"  # of an exported queue
Shape = tuple[int, int]
"""Rows, cols."""


@dataclass(frozen=True)
class VerdictImport:
    """What an import brought."""

    verdicts: dict[str, int]  # verdict -> images
    num_known: int  # of them in the archive before, from the same file
    num_outlined: int  # of them with a mask, which will train as annotated images
    left_out: dict[str, int]  # annotations that are no outlines of a radiologist: the network's, other categories


def take_in(sheet: Path, archive_uri: str, *, reader: str, coco: Path | None = None) -> VerdictImport:
    """Write a filled-in queue.csv into the archive's `verdicts`; the same file again changes nothing.

    coco: the annotations as edited by the radiologist: COCO JSON, or the own form of Label Studio (JSON) or CVAT (XML).
    Their outlines and boxes, of the category mass, come before boxes in the sheet, their answers fill its empty
    verdicts. The exported candidates.coco.json beside the sheet tells which boxes are the network's.

    Raises UserError with all mistakes in the sheet, by line, and in the annotations, by id: each one that a
    radiologist may have drawn is used, or named. Also for images that the archive does not have, and without a reader.
    """
    if not reader.strip():
        raise UserError("--reader is empty: name the radiologist who judged the images, e.g. R1")
    archive, reading = Archive.open(archive_uri), Reading()
    lines, mistakes = read_lines(sheet, reading=reading), reading.mistakes
    drawn_file = read_drawn(coco, mistakes=mistakes) if coco else None
    if drawn_file:
        lines = answered(lines, drawn_file, sheet=sheet.name, mistakes=mistakes)
    on = check_lines(lines, shapes_in(archive), sheet=sheet.name, mistakes=mistakes)
    drawn = _drawn(sheet, on, drawn_file, mistakes=mistakes) if drawn_file else Drawn()
    masks = drawn.masks | _masks_of_boxes(on, without=drawn.masks, mistakes=mistakes)
    reading.finish(sheet.name)
    # the time of the files, so that the same files are the same verdicts
    at = datetime.fromtimestamp(max(path.stat().st_mtime for path in (sheet, coco) if path), UTC).isoformat()
    pictures = _pictures_in(archive)
    rows = []
    for judgement in {line.image_id: line for line in lines if line.verdict}.values():
        sha = archive.put_pixels(masks[judgement.key]) if judgement.key in masks else ""
        facts = {"image_id": judgement.image_id, "verdict": judgement.verdict, "why": judgement.why}
        facts |= {"mask_sha": sha, "reader": reader.strip(), "at": at}
        rows.append(facts | {"pixel_sha": pictures[judgement.image_id]})
    num_known = _num_known(archive, rows)
    if rows:
        archive.upsert("verdicts", pa.Table.from_pylist(rows, schema=SCHEMAS["verdicts"]))
    verdicts = dict(Counter(row["verdict"] for row in rows))
    return VerdictImport(verdicts, num_known, sum(bool(row["mask_sha"]) for row in rows), drawn.left_out)


def shapes_in(archive: Archive) -> dict[str, Shape]:
    """Return the rows and columns of the archive's images, by id."""
    images = archive.table("images", columns=["image_id", "rows", "cols"]).to_pylist()
    return {row["image_id"]: (row["rows"], row["cols"]) for row in images}


def _pictures_in(archive: Archive) -> dict[str, str]:
    """Return the pixel_sha of the archive's images, by id."""
    images = archive.table("images", columns=["image_id", "pixel_sha"])
    return dict(zip(images["image_id"].to_pylist(), images["pixel_sha"].to_pylist(), strict=True))


def check_lines(lines: Sequence[Judgement], shapes: Mapping[str, Shape], *, sheet: str, mistakes: Mistakes) -> Sheet:
    """Return the lines by picture; add the judged images that the archive does not have, and boxes off their pictures.

    shapes: of the archive's images;  sheet: its name
    """
    if unknown := len({line.image_id for line in lines if line.verdict and line.image_id not in shapes}):
        mistakes.add(
            f"{sheet} judges {unknown} images that this archive does not have: name the archive it was exported from"
        )
    on = _sheet(sheet, [line for line in lines if line.image_id in shapes], shapes, mistakes=mistakes)
    _check_boxes(on, mistakes=mistakes)
    return on


def _sheet(name: str, lines: Sequence[Judgement], shapes: Mapping[str, Shape], *, mistakes: Mistakes) -> Sheet:
    """Return the lines by picture, with the way from each picture to the archive's view."""
    by_picture: dict[str, list[Judgement]] = {}
    frames: dict[str, Geometry] = {}
    for line in lines:
        by_picture.setdefault(line.key, []).append(line)
        rows, cols = shapes[line.image_id]
        frame = line.frame or stored_geometry(rows, cols, side=Side.LEFT)
        if frames.setdefault(line.key, frame) != frame or (frame.rows, frame.cols) != (rows, cols):
            mistakes.add(
                f"{name} line {line.line}, geometry: it is of another picture, or of an archive with other views: "
                "restore it from the exported sheet"
            )
            frames[line.key] = stored_geometry(rows, cols, side=Side.LEFT)
    return Sheet(name, by_picture, frames)


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


def _num_known(archive: Archive, rows: Sequence[Mapping[str, str]]) -> int:
    known = archive.table("verdicts", columns=["image_id", "at"]).to_pylist()
    there = {(row["image_id"], row["at"]) for row in known}
    return sum((row["image_id"], row["at"]) in there for row in rows)


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
