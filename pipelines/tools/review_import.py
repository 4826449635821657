"""Import verdicts into an archive. Loads no network: it is done beside a radiologist, and often."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pyarrow as pa

from system.archive import Archive
from system.archive.tables import SCHEMAS
from system.errors import Mistakes, UserError
from system.files.reading import Reading
from system.review import Drawn, Judgement, Proposed, Sheet, drawn_on, from_box, read_coco, read_lines

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

    coco: the annotations as edited by the radiologist; their outlines and boxes, of the category mass, come before
    boxes in the sheet. The exported candidates.coco.json beside the sheet tells which boxes are the network's.

    Raises UserError with all mistakes in the sheet, by line, and in the annotations, by id: each one that a
    radiologist may have drawn is used, or named. Also for images that the archive does not have, and without a reader.
    """
    if not reader.strip():
        raise UserError("--reader is empty: name the radiologist who judged the images, e.g. R1")
    archive, reading = Archive.open(archive_uri), Reading()
    lines, shapes = read_lines(sheet, reading=reading), shapes_in(archive)
    check_lines(lines, shapes, sheet=sheet.name, mistakes=reading.mistakes)
    drawn = _drawn(sheet, lines, shapes, coco=coco, mistakes=reading.mistakes) if coco else Drawn()
    reading.finish(sheet.name)
    # the time of the file, so that the same file is the same verdicts
    at = datetime.fromtimestamp(sheet.stat().st_mtime, UTC).isoformat()
    pictures = _pictures_in(archive)
    rows = []
    for judgement in (line for line in lines if line.verdict):
        mask = _mask(judgement, drawn, shape=shapes[judgement.image_id])
        sha = "" if mask is None else archive.put_pixels(mask)
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


def check_lines(lines: Sequence[Judgement], shapes: Mapping[str, Shape], *, sheet: str, mistakes: Mistakes) -> None:
    """Add the judged images that the archive does not have, and the boxes that do not lie on their pictures.

    shapes: of the archive's images;  sheet: its name
    """
    judged = [line for line in lines if line.verdict]
    if unknown := sum(line.image_id not in shapes for line in judged):
        mistakes.add(
            f"{sheet} judges {unknown} images that this archive does not have: name the archive it was exported from"
        )
    for line in judged:
        rows, cols = shapes.get(line.image_id, (0, 0))
        if rows and line.box_px and (line.box_px[2] > cols or line.box_px[3] > rows):
            mistakes.add(
                f"{sheet} line {line.line}: the box ends at {line.box_px[2]}, {line.box_px[3]}, but the "
                f"picture has {cols} x {rows} px: give the box in the picture's pixels"
            )


def _num_known(archive: Archive, rows: Sequence[Mapping[str, str]]) -> int:
    known = archive.table("verdicts", columns=["image_id", "at"]).to_pylist()
    there = {(row["image_id"], row["at"]) for row in known}
    return sum((row["image_id"], row["at"]) in there for row in rows)


def _drawn(
    sheet: Path, lines: Sequence[Judgement], shapes: Mapping[str, Shape], *, coco: Path, mistakes: Mistakes
) -> Drawn:
    """Return what the radiologist drew in an annotation tool."""
    known = {line.picture: line for line in lines if line.picture and line.image_id in shapes}
    exported = sheet.parent / COCO
    proposed = None
    if exported.is_file() and not exported.samefile(coco):
        proposed = Proposed.read(read_coco(exported, mistakes=mistakes), mistakes=mistakes)
    on = Sheet(sheet.name, known, {picture: shapes[line.image_id] for picture, line in known.items()})
    return drawn_on(on, read_coco(coco, mistakes=mistakes), proposed=proposed, mistakes=mistakes)


def _mask(judgement: Judgement, drawn: Drawn, *, shape: Shape) -> np.ndarray | None:
    """Return the outline [H, W] bool; None where none was drawn."""
    if judgement.picture in drawn.masks:
        return drawn.masks[judgement.picture]
    return from_box(judgement.box_px, shape=shape) if judgement.box_px else None
