"""Patient IDs under which more lies than one person has: a collective ID, whatever its word, is not one patient.

As no list of words for nobody is whole, what lies under an ID decides: a person has one birth date, and over the years
not more than so many studies.
"""

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum

import pyarrow as pa

from system.archive.splits import SplitConfig


class NotOnePatient(StrEnum):
    """Why a patient is not identified, and is therefore never held out."""

    NOBODY = "without an ID"  # each of their studies is a patient by itself
    BIRTH_DATES = "several birth dates"
    STUDIES = "too many studies"


@dataclass(frozen=True, slots=True)
class Seen:
    """What one image adds to what is known of a patient; all three are keyed hashes."""

    patient_id: str
    study_id: str
    birth: str  # "" = not given


def seen_in(files: pa.Table) -> list[Seen]:
    """Return what the files that can be used show.

    files: rows of the archive's `files`
    """
    rows = files.select(["patient_id", "study_id", "birth", "code"]).to_pylist()
    return [Seen(row["patient_id"], row["study_id"], row["birth"] or "") for row in rows if not row["code"]]


def collective_ids(seen: Iterable[Seen], *, config: SplitConfig) -> dict[str, NotOnePatient]:
    """Return the patients under whose ID several people lie, with the reason."""
    births: defaultdict[str, set[str]] = defaultdict(set)
    studies: defaultdict[str, set[str]] = defaultdict(set)
    for each in seen:
        studies[each.patient_id].add(each.study_id)
        if each.birth:
            births[each.patient_id].add(each.birth)
    many = {patient: NotOnePatient.STUDIES for patient, found in studies.items() if len(found) > config.max_studies}
    several = {
        patient: NotOnePatient.BIRTH_DATES for patient, found in births.items() if len(found) > config.max_birth_dates
    }
    return many | several
