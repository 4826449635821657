"""Decide what the files of a source add to the archive.

Files that conflict are refused, patients get their split, and rows that are in the archive already stay.
"""

from dataclasses import dataclass, replace

import pyarrow as pa
import pyarrow.compute as pc

from system.archive.delta import Outdated, one_of
from system.archive.intake import Intake
from system.archive.one_person import Seen, collective_ids, seen_in
from system.archive.rivals import CONFLICT, TWO_PICTURES, Rivals, rivals_of, supersede, withdraw
from system.archive.splits import Patient, SplitConfig, assign_splits, check_no_leak
from system.archive.store import Archive
from system.archive.tables import SCHEMAS
from system.errors import UserError
from system.records import Split, image_key

_COMPARED = ["image_id", "patient_id", "study_id", "pixel_sha", "split"]
_HELD_OUT = (Split.VALIDATION, Split.TEST)


@dataclass(frozen=True)
class SettledRows:
    """The rows to write."""

    images: pa.Table
    masks: pa.Table
    quarantine: pa.Table  # also files of other ingests: rivals that neither can be used with
    num_already_there: int
    num_withdrawn: int = 0  # images that were in the archive until a file contradicted them


def write_settled(archive: Archive, intakes: list[Intake], *, config: SplitConfig, overwrite: bool) -> SettledRows:
    """Settle these files and write the rows; repeated whenever another job has changed `images` meanwhile.

    Masks are written before the images that need them. A file that can be used now is removed from the quarantine. Of
    files with one UID and several pictures none is used, also where another ingest has brought one of them: it may do
    so at the same time, so it is looked for again at the end.

    overwrite: these files replace what is in the archive, and win over files of other ingests

    Raises UserError when a patient would be in two splits.
    """
    if overwrite:
        supersede(archive, intakes)
    num_withdrawn = 0
    while True:
        rivals = rivals_of(archive, intakes)
        num_withdrawn += withdraw(archive, rivals.contested)
        version = archive.version("images")
        settled = settle(archive, rivals, config=config, overwrite=overwrite)
        try:
            archive.upsert("masks", settled.masks)
            archive.upsert("images", settled.images, based_on=version)
        except Outdated:
            continue
        archive.upsert("quarantine", settled.quarantine)
        refused = set(settled.quarantine["source"].to_pylist())
        _release(archive, [intake.source for intake in rivals.intakes if intake.source not in refused])
        if rivals_of(archive, intakes).contested == rivals.contested:
            return replace(settled, num_withdrawn=num_withdrawn)


def settle(archive: Archive, rivals: Rivals, *, config: SplitConfig, overwrite: bool) -> SettledRows:
    """Return the rows that these files add to the archive.

    Files that conflict are refused, patients get their split, and rows that are in the archive already stay.

    overwrite: replace the rows that are in the archive already

    Raises UserError when a patient would be in two splits.
    """
    present = archive.table("images", columns=_COMPARED, where=_touched_by(rivals.intakes))
    kept, refused = _without_conflicts(rivals, present=present, overwrite=overwrite)
    collective = _collective(archive, kept, config=config)
    splits = _splits(kept, present=present, collective=collective, config=config)
    without_truth = [
        _without_truth(intake, splits[intake.patient_id])
        for intake in kept
        if splits[intake.patient_id] is not Split.WEAK and not intake.has_truth
    ]
    left_out = {intake.source for intake in without_truth}
    kept = [intake for intake in kept if intake.source not in left_out]
    there = set(present["image_id"].to_pylist())
    masked = set(
        archive.table("masks", columns=["image_id"], where=one_of("image_id", sorted(there)))["image_id"].to_pylist()
    )
    new = [intake for intake in kept if overwrite or intake.image_id not in there]
    images = pa.Table.from_pylist(
        [_image_row(intake, splits[intake.patient_id], archive) for intake in new], schema=SCHEMAS["images"]
    )
    images = pa.concat_tables([images, _moved(archive, splits, present=present, new=new)])
    written = set(images["image_id"].to_pylist())
    stays = pa.array([image_id not in written for image_id in present["image_id"].to_pylist()], pa.bool_())
    check_no_leak(pa.concat_tables([present.filter(stays), images.select(_COMPARED)]))
    return SettledRows(
        images=images,
        masks=_mask_rows(
            [intake for intake in kept if intake.mask_sha and (overwrite or intake.image_id not in masked)]
        ),
        quarantine=_quarantine_rows([*refused, *without_truth]),
        num_already_there=len({intake.image_id for intake in kept} & there) if not overwrite else 0,
    )


def _touched_by(intakes: list[Intake]) -> pc.Expression:
    """Return the filter for the images with the id, the patient, the study or the pixels of one of these files."""
    names = ("image_id", "patient_id", "study_id", "pixel_sha")
    image, *others = (one_of(name, sorted({getattr(intake, name) for intake in intakes})) for name in names)
    for other in others:
        image |= other
    return image


def _collective(archive: Archive, kept: list[Intake], *, config: SplitConfig) -> set[str]:
    """Return those of these files' patients under whose ID several people lie, by all files of the archive."""
    patients = {intake.patient_id for intake in kept}
    columns = ["patient_id", "study_id", "birth", "code"]
    before = seen_in(archive.table("files", columns=columns, where=one_of("patient_id", sorted(patients))))
    now = [Seen(intake.patient_id, intake.study_id, intake.birth or "") for intake in kept]
    return set(collective_ids([*before, *now], config=config))


def _moved(archive: Archive, splits: dict[str, Split], *, present: pa.Table, new: list[Intake]) -> pa.Table:
    """Return the archive's rows whose patient's split is another now: held out until their ID proved collective."""
    replaced = {intake.image_id for intake in new}
    moved = [
        row["image_id"]
        for row in present.select(["image_id", "patient_id", "split"]).to_pylist()
        if splits.get(row["patient_id"], row["split"]) != row["split"] and row["image_id"] not in replaced
    ]
    rows = archive.table("images", where=one_of("image_id", moved)).to_pylist() if moved else []
    changed = [row | {"split": splits[row["patient_id"]].value} for row in rows]
    return pa.Table.from_pylist(changed, schema=SCHEMAS["images"])


def _release(archive: Archive, sources: list[str]) -> None:
    """Remove files from the quarantine."""
    held = archive.table("quarantine", columns=["source"], where=one_of("source", sources))
    archive.remove("quarantine", held["source"].to_pylist())


def _without_conflicts(rivals: Rivals, *, present: pa.Table, overwrite: bool) -> tuple[list[Intake], list[Intake]]:
    """Return the files to keep and those refused.

    Of files with one id and several pictures none stays. A file that was changed after its picture was stored is
    refused, the picture stays. Of one picture with two ids the first file stays. A study belongs to one patient:
    to the one whom the archive has it of, else to a known one before an unknown one, else to the first.
    """
    sha_of = (
        {} if overwrite else dict(zip(present["image_id"].to_pylist(), present["pixel_sha"].to_pylist(), strict=True))
    )
    id_of = {sha: image_id for image_id, sha in sha_of.items()}
    again = {intake.image_id for intake in rivals.intakes if not intake.code} if overwrite else set[str]()
    patient_of = {
        row["study_id"]: row["patient_id"]
        for row in present.select(["image_id", "study_id", "patient_id"]).to_pylist()
        if row["image_id"] not in again
    }
    kept: dict[str, Intake] = {}
    refused = [intake for intake in rivals.intakes if intake.code]
    for intake in sorted(rivals.intakes, key=lambda intake: not intake.patient_known):
        if intake.code:
            continue
        if intake.image_id in rivals.contested:
            refused.append(_refused(intake, CONFLICT, TWO_PICTURES))
        elif patient_of.setdefault(intake.study_id, intake.patient_id) != intake.patient_id:
            refused.append(_refused(intake, CONFLICT, "another patient has the same Study Instance UID"))
        elif sha_of.setdefault(intake.image_id, intake.pixel_sha) != intake.pixel_sha:
            refused.append(
                _refused(
                    intake, CONFLICT, "its picture has changed since it was stored under the same SOP Instance UID"
                )
            )
        elif id_of.setdefault(intake.pixel_sha, intake.image_id) != intake.image_id:
            refused.append(_refused(intake, CONFLICT, "another SOP Instance UID has the same picture"))
        else:
            kept.setdefault(intake.image_id, intake)
    return list(kept.values()), refused


def _splits(kept: list[Intake], *, present: pa.Table, collective: set[str], config: SplitConfig) -> dict[str, Split]:
    """Return the split of every patient among these files; a patient of the archive keeps their split.

    Only one who was held out, and whose ID has proved to be collective, becomes weak, unless these files give a split.
    """
    before = dict(zip(present["patient_id"].to_pylist(), present["split"].to_pylist(), strict=True))
    before = {patient: split for patient, split in before.items() if not (patient in collective and split in _HELD_OUT)}
    by_patient: dict[str, list[Intake]] = {}
    for intake in kept:
        by_patient.setdefault(intake.patient_id, []).append(intake)
    return assign_splits(
        [
            _patient(patient_id, images, before.get(patient_id, ""), one_person=patient_id not in collective)
            for patient_id, images in by_patient.items()
        ],
        config=config,
    )


def _patient(patient_id: str, images: list[Intake], before: str, *, one_person: bool) -> Patient:
    given = {image.split for image in images if image.split} | ({before} if before else set())
    if len(given) > 1:
        raise UserError(
            f"a patient is given the splits {sorted(given)}: images of one patient would be used for training and for "
            "testing; give all of them the same split"
        )
    return Patient(
        patient_id=patient_id,
        has_mass=any(image.num_masses for image in images),
        has_truth=all(image.has_truth for image in images),
        known=one_person and all(image.patient_known for image in images),
        split=next(iter(given), ""),
    )


def _without_truth(intake: Intake, split: Split) -> Intake:
    return _refused(intake, "no_truth", f"the patient is in split {split}, but this image's masses are unknown")


def _refused(intake: Intake, code: str, detail: str) -> Intake:
    return replace(intake, code=code, detail=detail)


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
        "density": intake.density,
        "spacing_mm": intake.spacing_mm,
        "geometry": intake.geometry,
        "pixel_sha": intake.pixel_sha,
        "source": intake.layout,
        "split": split.value,
    }


def _mask_rows(intakes: list[Intake]) -> pa.Table:
    columns = ("image_id", "mask_sha", "num_lesions", "area_px")
    return pa.Table.from_pylist(
        [{name: getattr(intake, name) for name in columns} for intake in intakes], schema=SCHEMAS["masks"]
    )


def _quarantine_rows(intakes: list[Intake]) -> pa.Table:
    rows = [{"source": intake.source, "code": intake.code, "detail": intake.detail} for intake in intakes]
    return pa.Table.from_pylist(rows, schema=SCHEMAS["quarantine"])
