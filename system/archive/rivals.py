"""Files with one SOP Instance UID and different pictures: none of them can be trusted, so none is used.

The table `files` holds every file that was read, so the same files give the same answer in any order, in one ingest or
in several at once: each writes its files before it looks for rivals, and looks again after it has written its images.
"""

from collections import defaultdict
from collections.abc import Collection, Iterable
from dataclasses import dataclass, replace

import pyarrow as pa

from system.archive.delta import one_of
from system.archive.intake import Intake
from system.archive.store import Archive
from system.archive.tables import SCHEMAS

CONFLICT = "uid_conflict"
SUPERSEDED = "superseded"
TWO_PICTURES = "another file has the same SOP Instance UID and another picture: neither is used"


@dataclass(frozen=True, slots=True)
class Rivals:
    """The files that have to be settled together."""

    intakes: list[Intake]  # those given, and those of other ingests that wait for them or contradict them
    contested: frozenset[str]  # image ids with several pictures


def rivals_of(archive: Archive, intakes: list[Intake]) -> Rivals:
    """Return the files with those of other ingests that have one of their SOP Instance UIDs.

    Others are added where their picture differs, or where they wait in the quarantine because it did.
    """
    ids = {intake.image_id for intake in intakes if not intake.code}
    own = {intake.source for intake in intakes}
    rows = archive.table("files", where=one_of("image_id", ids)).to_pylist() if ids else []
    others = [Intake(**row) for row in rows if not row["code"] and row["source"] not in own]
    contested = _contested([*intakes, *others])
    waiting = waiting_for_a_rival(archive, [other.source for other in others])
    added = [other for other in others if other.image_id in contested or other.source in waiting]
    return Rivals([*intakes, *sorted(added, key=lambda other: other.source)], contested)


def waiting_for_a_rival(archive: Archive, sources: Iterable[str]) -> set[str]:
    """Return those of the files that are in the quarantine because of a UID."""
    held = archive.table("quarantine", columns=["source", "code"], where=one_of("source", sources)).to_pylist()
    return {row["source"] for row in held if row["code"] == CONFLICT}


def withdraw(archive: Archive, contested: frozenset[str]) -> int:
    """Remove contested images and their masks from the archive, and return how many there were.

    Their pixels stay, for runs that are pinned to an earlier version; verdicts stay too.
    """
    where, num_images = one_of("image_id", contested), 0
    for name in ("images", "masks") if contested else ():
        there = archive.table(name, columns=["image_id"], where=where)["image_id"].to_pylist()
        archive.remove(name, there)
        num_images += len(there) if name == "images" else 0
    return num_images


def supersede(archive: Archive, intakes: list[Intake]) -> None:
    """Let these files win over those of other ingests with the same UIDs: the archive's owner has decided so.

    The others are not used again until they are retried under the code `superseded`.
    """
    own = {intake.source for intake in intakes}
    rivals = rivals_of(archive, intakes)
    clear = {intake.image_id for intake in intakes} - _contested(intakes)
    losing = [
        replace(other, code=SUPERSEDED, detail="its owner has taken another file with the same SOP Instance UID")
        for other in rivals.intakes
        if other.source not in own and other.image_id in rivals.contested & clear
    ]
    _write(archive, losing)


def reopen(archive: Archive, *, folder: str, present: Collection[str]) -> set[str]:
    """Return the UIDs because of which files of a folder wait; forget those of the files that were removed from it.

    folder: keyed hash of a source's folder
    present: the files that are in it now

    A file that was read before its folder was kept stays.
    """
    where = one_of("source", present) | one_of("folder", [folder])
    rows = archive.table("files", columns=["source", "image_id"], where=where).to_pylist()
    held = waiting_for_a_rival(archive, [row["source"] for row in rows])
    removed = sorted(held - set(present))
    archive.remove("files", removed)
    archive.remove("quarantine", removed)
    return {row["image_id"] for row in rows if row["source"] in held}


def others_of(archive: Archive, image_ids: set[str], *, present: Collection[str]) -> list[Intake]:
    """Return the files of other folders that have these UIDs and could be used. present: those of this folder."""
    rows = archive.table("files", where=one_of("image_id", image_ids)).to_pylist() if image_ids else []
    return [Intake(**row) for row in rows if not row["code"] and row["source"] not in present]


def _contested(intakes: list[Intake]) -> frozenset[str]:
    pictures: defaultdict[str, set[str]] = defaultdict(set)
    for intake in intakes:
        if not intake.code:
            pictures[intake.image_id].add(intake.pixel_sha)
    return frozenset(image_id for image_id, found in pictures.items() if len(found) > 1)


def _write(archive: Archive, losing: list[Intake]) -> None:
    if not losing:
        return
    held = [{"source": each.source, "code": each.code, "detail": each.detail} for each in losing]
    archive.upsert("quarantine", pa.Table.from_pylist(held, schema=SCHEMAS["quarantine"]))
    rows = [{name: getattr(each, name) for name in SCHEMAS["files"].names} for each in losing]
    archive.upsert("files", pa.Table.from_pylist(rows, schema=SCHEMAS["files"]))
