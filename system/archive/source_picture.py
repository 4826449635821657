"""One source file to a picture, in the source's resolution, of the image that the archive took from it."""

from dataclasses import dataclass, replace
from pathlib import Path

from system.archive.delta import one_of
from system.archive.intake import Intake, or_its_code, source_of, stamp_of
from system.archive.layouts import Layout, SourceItem
from system.archive.store import Archive
from system.files.atomic import write_bytes
from system.imaging import (
    DicomConfig,
    DisplayConfig,
    Geometry,
    ImageRefused,
    encode_png,
    shown_source,
)
from system.records import Side


@dataclass(frozen=True, slots=True)
class PictureFolder:
    """Where pictures are written, and how they look."""

    folder: str
    display: DisplayConfig


def take_picture(
    archive: Archive,
    layout: Layout,
    *,
    source: Path,
    item: SourceItem,
    dicom: DicomConfig,
    into: PictureFolder,
) -> Intake:
    """Write a file's picture into a folder as `picture_name` has it, and return its row, of which nothing is stored.

    The file is known by the keyed id of its image, whatever its place; its code is `not_found` where the archive has no
    such image. Nothing but pixels gets into the picture. Raises as `intake.take`.
    """
    row = Intake(source_of(archive, source, item), stamp_of(archive, layout, source=source, item=item, dicom=dicom))

    def read() -> Intake:
        image = layout.read(source, item, config=dicom)
        image_id = archive.identifier("image", image.image)
        columns = ["geometry", "side"]
        known = archive.table("images", columns=columns, where=one_of("image_id", [image_id])).to_pylist()
        if not known or not known[0]["geometry"]:
            raise ImageRefused("not_found", "the archive has no image of this file")
        geometry = Geometry.from_json(known[0]["geometry"])
        shown = shown_source(image.pixels, geometry=geometry, side=Side(known[0]["side"]), config=into.display)
        write_bytes(Path(into.folder) / picture_name(image_id), encode_png(shown))
        return replace(row, image_id=image_id)

    return or_its_code(row, read)


def picture_name(image_id: str) -> str:
    """Return the file name of an image's picture."""
    return f"{image_id}.png"
