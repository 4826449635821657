"""From one source file to the rows it becomes: read, canonical view, pixels stored; then all files of a source are settled together."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
from skimage import measure

from system.archive.layouts import Layout, SourceItem
from system.archive.splits import Patient, SplitConfig, assign_splits, check_no_leak
from system.archive.store import Archive
from system.archive.tables import SCHEMAS
from system.imaging import Geometry, ImageRefused, SourceImage, canonical_mask, canonical_view
from system.records import Split, image_key

UNKNOWN_PATIENTS = frozenset({"ANON", "ANONYMOUS", "ANONYMIZED", "ANONYMISED", "UNKNOWN", "NONE", "NULL", "NA", "N/A", "TEST"})


@dataclass(frozen=True)
class Intake:
    """What became of one file; ids are hashed."""

    name: str  # path relative to the source: stays in memory, never stored or logged
    source_id: str  # keyed hash of the name
    code: str = ""  # of the quarantine; "" = taken
    detail: str = ""
    image_id: str = ""
    patient_id: str = ""
    patient_known: bool = False
    study_id: str = ""
    side: str = ""
    view: str = ""
    spacing_mm: float = 0.0  # of a canonical pixel
    geometry: str = ""  # JSON of imaging.Geometry
    pixel_sha: str = ""
    layout: str = ""
    split: str = ""  # given by the source
    has_truth: bool = False
    num_masses: int = 0  # said by the source
    mask_sha: str = ""  # "" = no truth
    num_lesions: int = 0  # 8-connected components of the canonical mask
    area_px: int = 0  # of the canonical mask


@dataclass(frozen=True)
class Settled:
    """The rows to write."""

    images: pa.Table
    masks: pa.Table
    quarantine: pa.Table
    num_already_there: int


def take(archive: Archive, layout: Layout, *, source: Path, item: SourceItem) -> Intake:
    """Read one item, store its pixels and return its row; whatever is wrong with the file ends as a code in that row."""
    source_id = archive.identifier("file", item.name)
    try:
        return _taken(archive, layout, source=source, item=item, source_id=source_id)
    except ImageRefused as refused:
        return Intake(name=item.name, source_id=source_id, code=refused.code, detail=refused.detail)
    except (OSError, ValueError, TypeError, ArithmeticError, LookupError, AttributeError, MemoryError) as error:
        # a broken file can fail anywhere in a decoder; the text may quote patient data
        return Intake(name=item.name, source_id=source_id, code="unreadable", detail=f"reading it failed with {type(error).__name__}")


def settle(archive: Archive, intakes: list[Intake], *, config: SplitConfig, overwrite: bool) -> Settled:
    """Return the rows that these files add to the archive: conflicts out, splits given, what is there already left as it is.

    Raises ValueError when a patient would be in two splits.
    """
    present = archive.table("images", columns=["image_id", "patient_id", "pixel_sha", "split"])
    kept, refused = _without_conflicts(intakes, present=present, overwrite=overwrite)
    splits = _splits(kept, present=present, config=config)
    untold = [_refused(intake, "no_truth", f"the patient is in split {splits[intake.patient_id]}, but this image's masses are unknown")
              for intake in kept if splits[intake.patient_id] is not Split.WEAK and not intake.has_truth]  # fmt: skip
    out = {intake.source_id for intake in untold}
    kept = [intake for intake in kept if intake.source_id not in out]
    there = set(present["image_id"].to_pylist())
    masked = set(archive.table("masks", columns=["image_id"])["image_id"].to_pylist())
    new = [intake for intake in kept if overwrite or intake.image_id not in there]
    images = pa.Table.from_pylist([_image_row(intake, splits[intake.patient_id], archive) for intake in new], schema=SCHEMAS["images"])
    columns = ["image_id", "patient_id", "pixel_sha", "split"]
    replaced = pa.array([image_id not in set(images["image_id"].to_pylist()) for image_id in present["image_id"].to_pylist()], pa.bool_())
    check_no_leak(pa.concat_tables([present.filter(replaced), images.select(columns)]))
    return Settled(
        images=images,
        masks=_mask_rows([intake for intake in kept if intake.mask_sha and (overwrite or intake.image_id not in masked)]),
        quarantine=_quarantine_rows([*refused, *untold]),
        num_already_there=len({intake.image_id for intake in kept} & there) if not overwrite else 0,
    )


def _taken(archive: Archive, layout: Layout, *, source: Path, item: SourceItem, source_id: str) -> Intake:
    image = layout.read(source, item)
    view, geometry = canonical_view(image.pixels, config=archive.imaging)
    mask = _truth(layout, source=source, item=item, image=image, geometry=geometry)
    known = _is_known(image.patient)
    return Intake(
        name=item.name,
        source_id=source_id,
        image_id=archive.identifier("image", image.image),
        patient_id=archive.identifier("patient", image.patient if known else f"unknown, study {image.study}"),
        patient_known=known,
        study_id=archive.identifier("study", image.study),
        side=image.side,
        view=image.view,
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


def _truth(layout: Layout, *, source: Path, item: SourceItem, image: SourceImage, geometry: Geometry) -> np.ndarray:
    """Return the canonical truth [H, W] bool; empty without truth. Raises ImageRefused mask_empty when a mass has left the view."""
    if not item.has_truth:
        return np.zeros((geometry.rows, geometry.cols), bool)
    mask = canonical_mask(layout.mask(source, item, image), geometry=geometry)
    if item.num_masses and not mask.any():
        raise ImageRefused("mask_empty", "nothing of the mask is left in the canonical view")
    return mask


def _is_known(patient: str) -> bool:
    """Whether a Patient ID can stand for one woman: not empty, not one repeated character, not a word for nobody."""
    return len(set(patient)) > 1 and patient.upper() not in UNKNOWN_PATIENTS


def _without_conflicts(intakes: list[Intake], *, present: pa.Table, overwrite: bool) -> tuple[list[Intake], list[Intake]]:
    """Return the files to keep and those refused: of one id with two pictures, or one picture with two ids, the first stays."""
    sha_of = {} if overwrite else dict(zip(present["image_id"].to_pylist(), present["pixel_sha"].to_pylist(), strict=True))
    id_of = {sha: image_id for image_id, sha in sha_of.items()}
    kept: dict[str, Intake] = {}
    refused = [intake for intake in intakes if intake.code]
    for intake in intakes:
        if intake.code:
            continue
        if sha_of.setdefault(intake.image_id, intake.pixel_sha) != intake.pixel_sha:
            refused.append(_refused(intake, "uid_conflict", "another picture has the same SOP Instance UID"))
        elif id_of.setdefault(intake.pixel_sha, intake.image_id) != intake.image_id:
            refused.append(_refused(intake, "uid_conflict", "another SOP Instance UID has the same picture"))
        else:
            kept.setdefault(intake.image_id, intake)
    return list(kept.values()), refused


def _splits(kept: list[Intake], *, present: pa.Table, config: SplitConfig) -> dict[str, Split]:
    """Return the split of every patient among these files; a patient of the archive stays where she is."""
    before = dict(zip(present["patient_id"].to_pylist(), present["split"].to_pylist(), strict=True))
    by_patient: dict[str, list[Intake]] = {}
    for intake in kept:
        by_patient.setdefault(intake.patient_id, []).append(intake)
    return assign_splits(
        [_patient(patient_id, images, before.get(patient_id, "")) for patient_id, images in by_patient.items()], config=config
    )


def _patient(patient_id: str, images: list[Intake], before: str) -> Patient:
    given = {image.split for image in images if image.split} | ({before} if before else set())
    if len(given) > 1:
        raise ValueError(f"a patient is given the splits {sorted(given)}: training would see what it is tested on; give her one")
    return Patient(
        patient_id=patient_id,
        has_mass=any(image.num_masses for image in images),
        has_truth=all(image.has_truth for image in images),
        known=all(image.patient_known for image in images),
        split=next(iter(given), ""),
    )


def _refused(intake: Intake, code: str, detail: str) -> Intake:
    return Intake(name=intake.name, source_id=intake.source_id, code=code, detail=detail)


def _image_row(intake: Intake, split: Split, archive: Archive) -> dict:
    return {
        "image_id": intake.image_id,
        "image_key": image_key(intake.image_id),
        "patient_id": intake.patient_id,
        "study_id": intake.study_id,
        "side": intake.side,
        "view": intake.view,
        "rows": archive.imaging.height_px,
        "cols": archive.imaging.width_px,
        "spacing_mm": intake.spacing_mm,
        "geometry": intake.geometry,
        "pixel_sha": intake.pixel_sha,
        "source": intake.layout,
        "split": split.value,
    }


def _mask_rows(intakes: list[Intake]) -> pa.Table:
    columns = ("image_id", "mask_sha", "num_lesions", "area_px")
    return pa.Table.from_pylist([{name: getattr(intake, name) for name in columns} for intake in intakes], schema=SCHEMAS["masks"])


def _quarantine_rows(intakes: list[Intake]) -> pa.Table:
    rows = [{"source": intake.source_id, "code": intake.code, "detail": intake.detail} for intake in intakes]
    return pa.Table.from_pylist(rows, schema=SCHEMAS["quarantine"])
