"""Which archive a run reads: what identifies it, and whether an archive is the one the run was begun on."""

from system.archive import Archive
from system.errors import UserError
from system.run.results import ArchivePin


def pin_of(archive: Archive) -> ArchivePin:
    """Return what identifies an archive and its present content."""
    return ArchivePin(archive.uri, archive.versions(), archive.key_fingerprint, archive.table_ids())


def check_pinned(archive: Archive, pin: ArchivePin, *, run: str) -> None:
    """Raise UserError when an archive is not the one that the run was begun on, or an older copy of it.

    An archive that was moved or copied is the same: its key and its tables' ids go with it.

    run: its name
    """
    if difference := _difference(archive, pin):
        raise UserError(
            f"run {run} was begun on another archive than {archive.uri} ({difference}): name the archive it was begun "
            "on, or start a new run on this one"
        )


def _difference(archive: Archive, pin: ArchivePin) -> str:
    """Return the first way in which an archive differs from the pinned one; "" for the same archive."""
    if archive.key_fingerprint != pin.key_fingerprint:
        return f"their site keys differ: found {archive.key_fingerprint}, expected {pin.key_fingerprint}"
    ids, versions = archive.table_ids(), archive.versions()
    for name, version in pin.versions.items():
        expected, found = pin.table_ids.get(name, ""), ids.get(name, "none")
        if expected and found != expected:
            return f"their tables differ: {name} has id {found}, expected {expected}"
        if versions.get(name, -1) < version:
            return f"table {name} is at version {versions.get(name, 'none')}, the run reads version {version}"
    return ""
