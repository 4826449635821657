"""One source file to one row of `files`: read, canonical view, pixels stored."""

import json
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import numpy as np
from skimage import measure

from system.archive.layouts import Layout, SourceItem
from system.archive.nobody import is_known
from system.archive.store import Archive
from system.faults import raise_fault
from system.imaging import DicomConfig, Geometry, ImageRefused, SourceImage, canonical_mask, canonical_view

NO_BIRTH_DATE = "19000101"  # and earlier: what is written where the date is not known


@dataclass(frozen=True)
class Intake:
    """The result of reading one file, a row of `files`; ids are hashed."""

    source: str  # keyed hash of the file's place
    stamp: str  # keyed hash made by `stamp_of`
    folder: str | None = ""  # keyed hash made by `folder_of`; None = read before it was kept
    code: str = ""  # of the quarantine; "" = the file can be used
    detail: str = ""
    image_id: str = ""
    patient_id: str = ""
    patient_known: bool = False
    birth: str | None = ""  # keyed hash of the birth date; "" = not given, None = read before it was kept
    study_id: str = ""
    side: str = ""
    view: str = ""
    density: str = ""  # ACR a to d, given by the source
    spacing_mm: float = 0.0  # of a canonical pixel
    geometry: str = ""  # JSON of imaging.Geometry
    pixel_sha: str = ""
    layout: str = ""
    split: str = ""  # given by the source
    has_truth: bool = False
    num_masses: int = 0  # given by the source
    mask_sha: str = ""  # "" = no truth
    num_lesions: int = 0  # 8-connected components of the canonical mask
    area_px: int = 0  # of the canonical mask


def source_of(archive: Archive, source: Path, item: SourceItem) -> str:
    """Return the keyed hash that stands for a file's place."""
    return archive.identifier("file", f"{source.resolve().as_posix()}/{item.name}")


def folder_of(archive: Archive, source: Path) -> str:
    """Return the keyed hash that stands for a source's folder."""
    return archive.identifier("file", source.resolve().as_posix())


def stamp_of(archive: Archive, layout: Layout, *, source: Path, item: SourceItem, dicom: DicomConfig) -> str:
    """Return a keyed hash of all that determines a file's row.

    That is the name of the layout, the item, the sizes and times of its files, and the settings. A file whose stamp is
    in the archive already need not be opened again.
    """
    files = [_size_and_time(path) for path in layout.files(source, item)]
    return archive.identifier(
        "stamp", json.dumps([layout.name, asdict(item), files, dicom.model_dump()], sort_keys=True)
    )


def take(archive: Archive, layout: Layout, *, source: Path, item: SourceItem, dicom: DicomConfig) -> Intake:
    """Read one item, store its pixels and return its row; a fault of the file becomes a code in that row.

    Raises MachineFault for what a storage does, be it the source's or the archive's.
    """
    row = Intake(
        source_of(archive, source, item),
        stamp_of(archive, layout, source=source, item=item, dicom=dicom),
        folder_of(archive, source),
    )
    return or_its_code(row, lambda: _read(archive, layout, source=source, item=item, dicom=dicom, row=row))


def or_its_code(row: Intake, read: Callable[[], Intake]) -> Intake:
    """Return what reading a file gives, or its row with the code of what is wrong with it; raises as `take`."""
    try:
        return read()
    except ImageRefused as refused:
        return replace(row, code=refused.code, detail=refused.detail)
    except MemoryError:
        return replace(row, code="memory", detail="reading it needs more memory than ingest.memory_mib allows")
    except (OSError, ValueError, TypeError, ArithmeticError, LookupError, AttributeError) as error:
        raise_fault(error)
        # a broken file can fail anywhere in a decoder; the text may quote patient data
        return replace(row, code="unreadable", detail=f"reading it failed with {type(error).__name__}")


def _size_and_time(path: Path) -> tuple[int, int] | None:
    try:
        found = path.stat()
    except (OSError, ValueError) as error:  # ValueError: a list names a file with a NUL character
        raise_fault(error)
        return None
    return found.st_size, found.st_mtime_ns


def _read(
    archive: Archive, layout: Layout, *, source: Path, item: SourceItem, dicom: DicomConfig, row: Intake
) -> Intake:
    """Return the row of a file that can be used. Raises ImageRefused, and what a decoder raises."""
    image = layout.read(source, item, config=dicom)
    view, geometry = canonical_view(image.pixels, config=archive.imaging, chest_wall=image.chest_wall, turn=image.turn)
    mask = _truth(layout, source=source, item=item, image=image, geometry=geometry)
    known = is_known(image.patient)
    return replace(
        row,
        image_id=archive.identifier("image", image.image),
        patient_id=archive.identifier("patient", image.patient if known else f"unknown, study {image.study}"),
        patient_known=known,
        birth=_birth(archive, image.birth_date),
        study_id=archive.identifier("study", image.study),
        side=image.side,
        view=image.view,
        density=item.density,
        spacing_mm=image.spacing_mm / geometry.scale,
        geometry=geometry.to_json(),
        pixel_sha=archive.put_pixels(view),
        layout=layout.name,
        split=item.split,
        has_truth=item.has_truth,
        num_masses=item.num_masses,
        mask_sha=archive.put_pixels(mask) if item.has_truth else "",
        num_lesions=int(np.asarray(measure.label(mask, connectivity=2)).max()),
        area_px=int(mask.sum()),
    )


def _birth(archive: Archive, date: str) -> str:
    """Return the keyed hash of a Patient's Birth Date (0010,0030), DA of PS3.5 6.2; "" for one that stands for none."""
    digits = "".join(character for character in date if character in "0123456789")
    is_date = len(digits) == len("YYYYMMDD") and digits > NO_BIRTH_DATE and digits[4:] != "0000"
    return archive.identifier("birth", digits) if is_date else ""


def _truth(layout: Layout, *, source: Path, item: SourceItem, image: SourceImage, geometry: Geometry) -> np.ndarray:
    """Return the canonical truth [H, W] bool; empty without truth.

    Raises ImageRefused mask_empty when the masses lie outside the canonical view.
    """
    if not item.has_truth:
        return np.zeros((geometry.rows, geometry.cols), bool)
    mask = canonical_mask(layout.mask(source, item, image), geometry=geometry)
    if item.num_masses and not mask.any():
        raise ImageRefused("mask_empty", "nothing of the mask is left in the canonical view")
    return mask
