"""Say which reports there are to read, and what is known about the breasts they speak of."""

from dataclasses import dataclass

import numpy as np
import pandas as pd
import pyarrow as pa

from system.records import Side, Split
from system.reports.config import ReportConfig
from system.reports.folds import assign_folds, check_folds, choose_share
from system.reports.text import Sections, sections

SIDES = (Side.LEFT, Side.RIGHT)  # the columns of every truth array
UNKNOWN = -1
WITHDRAWN = "withdrawn"
_WORDS_OF_A_READER = ("final", "corrected", WITHDRAWN)  # a preliminary report counts for nothing
_ANNOTATED = (Split.STRONG.value, Split.VALIDATION.value)


@dataclass(frozen=True)
class ReportSet:
    """All reports that may be read, ordered by study."""

    studies: list[str]  # ids
    reports: list[Sections]  # none of them empty
    truth: np.ndarray  # [N, 2] int8, left and right: 1 mass, 0 none, -1 not known to the models
    folds: np.ndarray  # [N] int8, 0 to num_folds - 1; -1 for a report that teaches nobody

    def teaching(self, fold: int) -> np.ndarray:
        """Return the positions [K] of the reports that teach a fold's models."""
        return np.flatnonzero((self.folds >= 0) & (self.folds != fold))

    def held_out(self, fold: int) -> np.ndarray:
        """Return the positions [K] of the labelled reports that a fold's models never see."""
        return np.flatnonzero(self.folds == fold)


def read_reports(reports: pa.Table, images: pa.Table, masks: pa.Table, *, config: ReportConfig) -> ReportSet:
    """Return the latest reports with the truth of those whose images are annotated (splits strong and validation), in folds.

    reports, images, masks: the archive's tables. Raises ValueError when there is too little to teach the models with.
    """
    latest = latest_reports(reports)
    cleaned = [
        sections(description, impression, max_chars=config.max_chars)
        for description, impression in zip(latest["description"], latest["impression"], strict=True)
    ]
    kept = [index for index, report in enumerate(cleaned) if not report.empty]
    studies = latest["study_id"].iloc[kept].tolist()
    truth, patients = _look_up(breast_truth(images, masks), studies)
    rng = np.random.default_rng(config.seed)
    labelled = np.flatnonzero((truth >= 0).any(axis=1))
    if len(labelled):
        chosen = labelled[choose_share(patients[labelled], share=config.labelled_share, rng=rng)]
        truth[np.setdiff1d(labelled, chosen)] = UNKNOWN
        labelled = chosen
    folds = np.full(len(studies), -1, np.int8)
    folds[labelled] = assign_folds(patients[labelled], truth[labelled], num_folds=config.num_folds, rng=rng)
    check_folds(truth[labelled], folds[labelled], num_folds=config.num_folds)
    return ReportSet(studies, [cleaned[index] for index in kept], truth, folds)


def latest_reports(reports: pa.Table) -> pd.DataFrame:
    """Return study_id, description, impression of each study's latest word: its highest version, unless that withdraws the report."""
    frame = reports.to_pandas()
    frame = frame[frame["status"].isin(_WORDS_OF_A_READER)].sort_values(["study_id", "version"])
    latest = frame.drop_duplicates("study_id", keep="last")
    latest = latest[latest["status"] != WITHDRAWN]
    return latest[["study_id", "description", "impression"]].fillna("").reset_index(drop=True)


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
