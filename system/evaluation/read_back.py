"""The tables and the report of a finished evaluation, read back to compare systems and to look at groups of images."""

from collections.abc import Set
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray
from pydantic import TypeAdapter
from scipy import sparse

from system.files.json_in import read_record
from system.files.parquet import REMEDY, read_table
from system.metrics import OUTCOMES, FrocConfig, PatientCounts
from system.metrics.bootstrap import count_by_patient
from system.metrics.matching import Detections, Match
from system.metrics.subgroups import Group, GroupRow, by_image, by_lesion, of_images, size_of
from system.run.results import FrocReport, FrocResult
from system.run.stage import Stage


@dataclass(frozen=True)
class EvaluationTables:
    """The tables of a finished evaluation."""

    images: pa.Table  # schemas.IMAGES
    lesions: pa.Table  # schemas.LESIONS, in the order of detections.lesion_image
    candidates: pa.Table  # schemas.CANDIDATES, in the order of detections.score
    detections: Detections  # without the pairs: the matching is done
    matched: Match  # lesion: place among all lesions


def read_back(stage: Stage[FrocResult]) -> EvaluationTables:
    """Return the tables of a finished evaluation. Raises NotFinished."""
    images, candidates, lesions = (
        read_table(stage.path(name)) for name in ("images.parquet", "candidates.parquet", "lesions.parquet")
    )
    place = {image_id: index for index, image_id in enumerate(images.column("image_id").to_pylist())}
    codes = {name: int(outcome) for outcome, name in OUTCOMES.items()}
    per_image = images.column("num_lesions").to_numpy().astype(np.int64)
    candidate_image = np.array(
        [place[image_id] for image_id in candidates.column("image_id").to_pylist()], dtype=np.int64
    )
    first_lesion = (np.cumsum(per_image) - per_image)[candidate_image]
    nothing = np.empty(0, dtype=np.int64)
    detections = Detections(
        num_images=len(images),
        score=candidates.column("score").to_numpy(),
        candidate_image=candidate_image,
        lesion_image=np.repeat(np.arange(len(images)), per_image),
        pair_candidate=nothing,
        pair_lesion=nothing,
        pair_iou=np.empty(0),
    )

    def among_all(column: str) -> NDArray[np.int64]:
        within = candidates.column(column).to_numpy()
        return np.where(within < 0, -1, first_lesion + within)

    outcome = np.array([codes[name] for name in candidates.column("outcome").to_pylist()], dtype=np.uint8)
    matched = Match(outcome, among_all("lesion"), among_all("nearest_lesion"), candidates.column("iou").to_numpy())
    return EvaluationTables(images, lesions, candidates, detections, matched)


def read_report(stage: Stage[FrocResult]) -> FrocReport:
    """Return the rules, the result and the curves of a finished evaluation. Raises NotFinished."""
    return read_record(stage.path("froc.json"), TypeAdapter(FrocReport), remedy=REMEDY)


def patient_counts(stage: Stage[FrocResult], *, config: FrocConfig) -> PatientCounts:
    """Return a finished evaluation's counts per patient (score sweep), to compare systems on the same patients."""
    kept = read_back(stage)
    patients = kept.images.column("patient_id").to_pylist()
    return count_by_patient(kept.detections, kept.matched, image_patient=patients, config=config)


@dataclass(frozen=True)
class Shared:
    """Two finished evaluations on the images that both have."""

    num_images: int
    num_other_lesions: int  # of them, those in which the two have not the same number of lesions
    first: PatientCounts
    second: PatientCounts


def shared_counts(first: Stage[FrocResult], second: Stage[FrocResult], *, config: FrocConfig) -> Shared:
    """Return the counts per patient of two evaluations, by image ids, on what both have looked at (score sweep).

    Ids are keyed hashes: evaluations on archives of other site keys have none in common.
    """
    tables = [read_back(stage) for stage in (first, second)]
    lesions = [
        dict(zip(kept.images["image_id"].to_pylist(), kept.images["num_lesions"].to_pylist(), strict=True))
        for kept in tables
    ]
    both = lesions[0].keys() & lesions[1].keys()
    counts = [_counts_on(kept, both, config=config) for kept in tables]
    return Shared(len(both), sum(lesions[0][each] != lesions[1][each] for each in both), counts[0], counts[1])


def _counts_on(tables: EvaluationTables, images: Set[str], *, config: FrocConfig) -> PatientCounts:
    kept = np.array([image_id in images for image_id in tables.images["image_id"].to_pylist()], dtype=bool)
    patients = np.array(tables.images["patient_id"].to_pylist(), dtype=str)[kept]
    part, matched = of_images(tables.detections, tables.matched, kept=kept)
    return count_by_patient(part, matched, image_patient=patients.tolist(), config=config)


def cut_counts(stage: Stage[FrocResult]) -> PatientCounts:
    """Return a finished evaluation's counts per patient in the second mode, to compare systems on the same patients."""
    images, cuts = (read_table(stage.path(name)) for name in ("images.parquet", "cuts.parquet"))
    patients, patient = np.unique(images["patient_id"].to_pylist(), return_inverse=True)
    levels, level = np.unique(-cuts["level"].to_numpy(), return_inverse=True)
    place = (level, np.searchsorted(patients, np.array(cuts["patient_id"].to_pylist(), dtype=str)))

    def tally(column: str) -> sparse.csr_array:
        counts = cuts[column].to_numpy().astype(np.float64)
        return sparse.csr_array((counts, place), shape=(len(levels), len(patients)))

    return PatientCounts(
        patients=tuple(patients.tolist()),
        images=np.bincount(patient, minlength=len(patients)),
        lesions=np.bincount(patient, weights=images["num_lesions"].to_numpy(), minlength=len(patients)).astype(
            np.int64
        ),
        found=tally("found"),
        false=tally("false"),
    )


def by_group(stage: Stage[FrocResult], *, config: FrocConfig) -> list[GroupRow]:
    """Return a finished evaluation by view, breast density, source and lesion size."""
    return [group.row(config=config) for group in groups_of(stage)]


def groups_of(stage: Stage[FrocResult]) -> list[Group]:
    """Return the groups of a finished evaluation: by view, breast density, source and lesion size."""
    kept = read_back(stage)
    patients = kept.images.column("patient_id").to_pylist()
    found: list[Group] = []
    for column in ("view", "density", "source"):
        names = [name or "not known" for name in kept.images.column(column).to_pylist()]
        found += by_image(column, names, kept.detections, kept.matched, image_patient=patients)
    sizes = [size_of(diameter) for diameter in kept.lesions.column("diameter_mm").to_pylist()]
    found += by_lesion("lesion size", sizes, kept.detections, kept.matched, image_patient=patients)
    return found
