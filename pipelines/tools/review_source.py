"""Pictures of the archive's images from the files that they were taken from, where these are at hand."""

import logging
from collections import Counter
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from system.archive import Archive, IngestConfig
from system.archive.delta import one_of
from system.archive.fence import Fence, ReadJob
from system.archive.intake import source_of, stamp_of
from system.archive.layouts import LAYOUTS, SourceItem
from system.archive.source_picture import PictureFolder
from system.errors import UserError
from system.imaging import DicomConfig, DisplayConfig

log = logging.getLogger(__name__)
DICOM = DicomConfig(allow_for_processing=True)  # whatever was taken in is shown


@dataclass(frozen=True)
class SourceFolder:
    """A folder that images of the archive were taken from."""

    path: Path
    layout: str  # key of LAYOUTS; "" = that of the images


def draw_from_source(
    wanted: Mapping[str, str], archive: Archive, *, source: SourceFolder, folder: Path, display: DisplayConfig
) -> set[str]:
    """Write pictures of images into a folder, as `picture_name` has them, and return the ids of those that were found.

    A file belongs to an image by the keyed id of the image in it, not by its name. The files that the archive was taken
    from are found at once, in their place or moved with their times; then those that it does not know are looked into.

    wanted: image id -> its layout

    Raises UserError for a folder that the layout cannot list, or several layouts.
    """
    layout = _layout(set(wanted.values()), given=source.layout)
    missing = {image_id for image_id, of in wanted.items() if of == layout}
    config = IngestConfig()
    into = PictureFolder(str(folder), display)
    job = ReadJob(archive.uri, layout, str(source.path.resolve()), DICOM, config.memory_mib, config.timeout_s, into)
    fence, found, codes = Fence(job), set[str](), Counter[str]()
    try:
        for item in _likely_first(archive, missing, source=source.path.resolve(), layout=layout):
            if not missing:
                break
            row = fence.take(item)
            codes[row.code] += 1
            if row.image_id in missing:
                missing.remove(row.image_id)
                found.add(row.image_id)
                log.info("read %d of %d pictures from their files", len(found), len(found) + len(missing))
    finally:
        fence.close()
    if missing:
        read = ", ".join(f"{count} {code or 'read'}" for code, count in sorted(codes.items())) or "none"
        log.warning("%d images have no file in --source (files looked into: %s)", len(missing), read)
    return found


def _layout(layouts: Collection[str], *, given: str) -> str:
    """Return the layout of the images. Raises UserError where it is not clear, or unknown."""
    if not given and len(layouts) > 1:
        raise UserError(f"the images are of the layouts {sorted(layouts)}: say with --layout which of them --source is")
    layout = given or next(iter(layouts))
    if layout not in LAYOUTS:
        raise UserError(f"there is no layout {layout!r}: give --layout, one of {sorted(LAYOUTS)}")
    return layout


def _likely_first(archive: Archive, wanted: Collection[str], *, source: Path, layout: str) -> Iterator[SourceItem]:
    """Give the items of the images, then those of which the archive knows nothing."""
    items = LAYOUTS[layout].items(source)
    here = {source_of(archive, source, item): item for item in items}
    image_of = _images_by(archive, "source", here)
    elsewhere = {name: item for name, item in here.items() if name not in image_of}
    stamps = {
        name: stamp_of(archive, LAYOUTS[layout], source=source, item=item, dicom=DicomConfig())
        for name, item in elsewhere.items()
    }
    by_stamp = _images_by(archive, "stamp", set(stamps.values()))
    image_of |= {name: by_stamp[stamp] for name, stamp in stamps.items() if stamp in by_stamp}
    yield from (item for name, item in here.items() if image_of.get(name) in wanted)
    yield from (item for name, item in here.items() if name not in image_of)


def _images_by(archive: Archive, column: str, values: Collection[str]) -> dict[str, str]:
    """Return the ids of images by a column of the files that were read; "" for a file that was quarantined."""
    rows = archive.table("files", columns=[column, "image_id"], where=one_of(column, values)).to_pylist()
    return {row[column]: row["image_id"] for row in rows}
