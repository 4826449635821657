"""Say which reports there are to read, what is known about the breasts they speak of, and which of them still want a label."""

from dataclasses import dataclass

import numpy as np
import pandas as pd
import pyarrow as pa

from system.records import Side, Split
from system.reports.config import ReportConfig
from system.reports.folds import assign_folds, check_folds, choose_share, choose_watching
from system.reports.rules import names_a_side
from system.reports.text import Sections, sections

SIDES = (Side.LEFT, Side.RIGHT)  # the columns of every truth array
UNKNOWN = -1
NOBODY = -1  # the fold of a report that teaches nobody
WITHDRAWN = "withdrawn"
_WORDS_OF_A_READER = ("final", "corrected", WITHDRAWN)  # a preliminary report counts for nothing
_ANNOTATED = (Split.STRONG.value, Split.VALIDATION.value)


@dataclass(frozen=True)
class Reports:
    """The latest reports, cleaned; none of them empty."""

    studies: list[str]  # ids, in order
    versions: np.ndarray  # [N] int32
    sections: list[Sections]
    named: np.ndarray  # [N] bool: it says which breast it speaks of; without that it labels none

    def __len__(self) -> int:
        return len(self.studies)


@dataclass(frozen=True)
class Lessons:
    """What is known of the breasts that the latest reports speak of, and which reports teach whom."""

    truth: np.ndarray  # [N, 2] int8, left and right: 1 mass, 0 none, -1 not known to the models
    folds: np.ndarray  # [N] int8, 0 to num_folds - 1; NOBODY for a report that teaches nobody
    patients: np.ndarray  # [N] text ids, "" where the study has no annotated image

    def teaching(self, fold: int) -> np.ndarray:
        """Return the positions [K] of the reports that teach a fold's models."""
        return np.flatnonzero((self.folds != NOBODY) & (self.folds != fold))

    def held_out(self, fold: int) -> np.ndarray:
        """Return the positions [K] of the labelled reports that a fold's models never see."""
        return np.flatnonzero(self.folds == fold)

    def watching(self, fold: int, *, config: ReportConfig) -> np.ndarray:
        """Return which [K] bool of a fold's teaching reports only say when to stop."""
        those, rng = self.teaching(fold), np.random.default_rng((config.seed, fold))
        return choose_watching(self.patients[those], self.truth[those], share=config.validation_share, rng=rng)


def read_reports(reports: pa.Table, *, config: ReportConfig) -> Reports:
    """Return each study's latest report, cleaned, without those in which nothing is written.

    reports: the archive's table
    """
    latest = latest_reports(reports)
    cleaned = [
        sections(description, impression, max_chars=config.max_chars)
        for description, impression in zip(latest["description"], latest["impression"], strict=True)
    ]
    kept = [index for index, report in enumerate(cleaned) if not report.empty]
    written = [cleaned[index] for index in kept]
    return Reports(
        studies=latest["study_id"].iloc[kept].tolist(),
        versions=latest["version"].iloc[kept].to_numpy(np.int32),
        sections=written,
        named=np.array([names_a_side(report) for report in written], bool),
    )


def plan_lessons(reports: Reports, images: pa.Table, masks: pa.Table, *, config: ReportConfig) -> Lessons:
    """Return the truth about the annotated women (splits strong and validation), and their reports in folds.

    images, masks: the archive's tables. Raises ValueError when there is too little to teach the models with.
    """
    truth, patients = _look_up(breast_truth(images, masks), reports.studies)
    truth[~reports.named] = UNKNOWN
    rng = np.random.default_rng(config.seed)
    labelled = np.flatnonzero((truth >= 0).any(axis=1))
    if len(labelled):
        chosen = labelled[choose_share(patients[labelled], share=config.labelled_share, rng=rng)]
        truth[np.setdiff1d(labelled, chosen)] = UNKNOWN
        labelled = chosen
    folds = np.full(len(reports), NOBODY, np.int8)
    folds[labelled] = assign_folds(patients[labelled], truth[labelled], num_folds=config.num_folds, rng=rng)
    check_folds(truth[labelled], folds[labelled], num_folds=config.num_folds)
    return Lessons(truth, folds, patients)


def latest_reports(reports: pa.Table) -> pd.DataFrame:
    """Return study_id, version, description, impression of each study's latest word: its highest version, unless that withdraws it."""
    frame = reports.to_pandas()
    frame = frame[frame["status"].isin(_WORDS_OF_A_READER)].sort_values(["study_id", "version"])
    latest = frame.drop_duplicates("study_id", keep="last")
    latest = latest[latest["status"] != WITHDRAWN]
    return latest[["study_id", "version", "description", "impression"]].fillna("").reset_index(drop=True)


def unlabelled(reports: Reports, labels: pa.Table, *, models: str) -> np.ndarray:
    """Return the positions [K] of reports without a label of these models, or changed since they read it.

    labels: the archive's table;  models: the version that names them
    """
    theirs = labels.to_pandas()
    theirs = theirs[theirs["model"].str.startswith(f"{models}/")]
    read = dict(zip(theirs["study_id"], theirs["report_version"], strict=True))
    return np.array([read.get(study) != version for study, version in zip(reports.studies, reports.versions, strict=True)], bool).nonzero()[
        0
    ]


def breast_truth(images: pa.Table, masks: pa.Table) -> pd.DataFrame:
    """Return study_id, patient_id, side, has_mass for every breast whose images were annotated; no mask means no mass."""
    annotated = images.select(["image_id", "patient_id", "study_id", "side", "split"]).to_pandas()
    annotated = annotated[annotated["split"].isin(_ANNOTATED)]
    lesions = masks.select(["image_id", "num_lesions"]).to_pandas()
    annotated = annotated.merge(lesions, on="image_id", how="left")
    annotated["has_mass"] = annotated["num_lesions"].fillna(0) > 0
    return annotated.groupby(["study_id", "patient_id", "side"], as_index=False)["has_mass"].any()


def _look_up(breasts: pd.DataFrame, studies: list[str]) -> tuple[np.ndarray, np.ndarray]:
    """Return truth [N, 2] int8 and patients [N] of studies; a study of several patients' images would be a broken archive."""
    position = {study: index for index, study in enumerate(studies)}
    truth = np.full((len(studies), len(SIDES)), UNKNOWN, np.int8)
    patients = np.full(len(studies), "", dtype=object)
    for study, patient, side, has_mass in breasts.itertuples(index=False):
        if study in position:
            truth[position[study], SIDES.index(Side(side))] = has_mass
            patients[position[study]] = patient
    return truth, patients
