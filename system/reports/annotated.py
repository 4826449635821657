"""Select the reports to read, look up the truth about their breasts, and find those that still need a label."""

from dataclasses import dataclass

import numpy as np
import pandas as pd
import pyarrow as pa

from system.records import Side, Split
from system.reports.config import ReportConfig
from system.reports.folds import assign_folds, check_folds, choose_early_stopping, choose_share
from system.reports.rules import names_a_side
from system.reports.text import Sections, sections

SIDES = (Side.LEFT, Side.RIGHT)  # the columns of every truth array
UNKNOWN = -1
NO_FOLD = -1  # the fold of a report that no model is fine-tuned on
WITHDRAWN = "withdrawn"
COUNTED_STATUSES = ("final", "corrected", WITHDRAWN)  # a preliminary report counts for nothing
_ANNOTATED = (Split.STRONG.value, Split.VALIDATION.value)


@dataclass(frozen=True)
class Reports:
    """The latest reports, cleaned; none of them empty."""

    studies: list[str]  # ids, in order
    versions: np.ndarray  # [N] int32
    sections: list[Sections]
    named: np.ndarray  # [N] bool: the text names a breast; a report without a side gives no label

    def __len__(self) -> int:
        return len(self.studies)


@dataclass(frozen=True)
class TrainingReports:
    """What is known of the breasts in the latest reports, and which reports train which models."""

    truth: np.ndarray  # [N, 2] int8, left and right: 1 mass, 0 none, -1 not known to the models
    folds: np.ndarray  # [N] int8, 0 to num_folds - 1; NO_FOLD for a report that trains no model
    patients: np.ndarray  # [N] text ids, "" where the study has no annotated image

    def trained_on(self, fold: int) -> np.ndarray:
        """Return the positions [K] of the reports that a fold's models are fine-tuned on."""
        return np.flatnonzero((self.folds != NO_FOLD) & (self.folds != fold))

    def held_out(self, fold: int) -> np.ndarray:
        """Return the positions [K] of the annotated reports that a fold's models never see."""
        return np.flatnonzero(self.folds == fold)

    def early_stopping(self, fold: int, *, config: ReportConfig) -> np.ndarray:
        """Return which of a fold's training reports are used for early stopping only, [K] bool."""
        members, rng = self.trained_on(fold), np.random.default_rng((config.seed, fold))
        return choose_early_stopping(
            self.patients[members], self.truth[members], share=config.validation_share, rng=rng
        )


def read_reports(reports: pa.Table, *, config: ReportConfig) -> Reports:
    """Return each study's latest report, cleaned; empty reports are left out.

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


def plan_training(reports: Reports, images: pa.Table, masks: pa.Table, *, config: ReportConfig) -> TrainingReports:
    """Return the truth about the annotated patients (splits strong and validation), and their reports in folds.

    images, masks: the archive's tables
    Raises UserError when there are too few annotated reports to fine-tune the models.
    """
    truth, patients = _look_up(breast_truth(images, masks), reports.studies)
    truth[~reports.named] = UNKNOWN
    rng = np.random.default_rng(config.seed)
    annotated = np.flatnonzero((truth >= 0).any(axis=1))
    if len(annotated):
        chosen = annotated[choose_share(patients[annotated], share=config.annotated_share, rng=rng)]
        truth[np.setdiff1d(annotated, chosen)] = UNKNOWN
        annotated = chosen
    folds = np.full(len(reports), NO_FOLD, np.int8)
    folds[annotated] = assign_folds(patients[annotated], truth[annotated], num_folds=config.num_folds, rng=rng)
    check_folds(truth[annotated], folds[annotated], num_folds=config.num_folds)
    return TrainingReports(truth, folds, patients)


def latest_reports(reports: pa.Table) -> pd.DataFrame:
    """Return study_id, version, description, impression of each study's latest report.

    The latest is the one of the highest version. A study whose latest report is withdrawn is left out.
    """
    frame = reports.to_pandas()
    frame = frame[frame["status"].isin(COUNTED_STATUSES)].sort_values(["study_id", "version"])
    latest = frame.drop_duplicates("study_id", keep="last")
    latest = latest[latest["status"] != WITHDRAWN]
    return latest[["study_id", "version", "description", "impression"]].fillna("").reset_index(drop=True)


def unlabelled(reports: Reports, labels: pa.Table, *, models: str) -> np.ndarray:
    """Return the positions [K] of reports that have no label of these models, or have changed since.

    labels: the archive's table
    models: the version that names the report models
    """
    theirs = labels.to_pandas()
    theirs = theirs[theirs["model"].str.startswith(f"{models}/")]
    read = dict(zip(theirs["study_id"], theirs["report_version"], strict=True))
    return np.array(
        [read.get(study) != version for study, version in zip(reports.studies, reports.versions, strict=True)], bool
    ).nonzero()[0]


def breast_truth(images: pa.Table, masks: pa.Table) -> pd.DataFrame:
    """Return study_id, patient_id, side, has_mass of every breast whose images were annotated; no mask means no mass.

    A report speaks of the breast, so the truth that trains the report models is per breast: a mass outlined in one of
    its views is the breast's. The detector's truth of fully annotated data (D_F) is per view, the mask of that view.
    The two disagree for a mass outlined in one view alone: its other view trains the detector without a mass, while
    its report trains with one.

    images, masks: the archive's tables
    """
    annotated = images.select(["image_id", "patient_id", "study_id", "side", "split"]).to_pandas()
    annotated = annotated[annotated["split"].isin(_ANNOTATED)]
    lesions = masks.select(["image_id", "num_lesions"]).to_pandas()
    annotated = annotated.merge(lesions, on="image_id", how="left")
    annotated["has_mass"] = annotated["num_lesions"].fillna(0) > 0
    return annotated.groupby(["study_id", "patient_id", "side"], as_index=False)["has_mass"].any()


def _look_up(breasts: pd.DataFrame, studies: list[str]) -> tuple[np.ndarray, np.ndarray]:
    """Return the truth, [N, 2] int8, and the patients, [N], of studies.

    A study belongs to one patient: images of several patients in one study would be a broken archive.
    """
    position = {study: index for index, study in enumerate(studies)}
    truth = np.full((len(studies), len(SIDES)), UNKNOWN, np.int8)
    patients = np.full(len(studies), "", dtype=object)
    for study, patient, side, has_mass in breasts.itertuples(index=False):
        if study in position:
            truth[position[study], SIDES.index(Side(side))] = has_mass
            patients[position[study]] = patient
    return truth, patients
