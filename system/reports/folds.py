"""Divide labelled reports into folds so that no patient is on both sides of a test."""

import numpy as np


def assign_folds(patients: np.ndarray, truth: np.ndarray, *, num_folds: int, rng: np.random.Generator) -> np.ndarray:
    """Return each report's fold.

    patients: [N] text ids;  truth: [N, 2] int8, left and right: 1 mass, 0 none, -1 not known
    Returns [N] int8, 0 to num_folds - 1. A patient's reports share a fold; patients with the same pattern of masses are dealt out
    one by one, so the folds differ by at most one patient of each pattern.
    """
    ids, patient_of = np.unique(patients.astype(str), return_inverse=True)
    pattern = np.zeros(len(ids), np.int64)
    for side in (0, 1):
        has_mass = np.zeros(len(ids), bool)
        np.logical_or.at(has_mass, patient_of, truth[:, side] == 1)
        pattern += has_mass.astype(np.int64) << side
    dealt = np.lexsort((rng.random(len(ids)), pattern))
    fold_of_patient = np.empty(len(ids), np.int8)
    fold_of_patient[dealt] = np.arange(len(ids)) % num_folds
    return fold_of_patient[patient_of]


def check_folds(truth: np.ndarray, folds: np.ndarray, *, num_folds: int) -> None:
    """Raise ValueError unless every fold's teaching part shows both answers for both sides.

    truth: [N, 2] int8 as in assign_folds;  folds: [N] int8
    """
    for side, name in enumerate(("left", "right")):
        for fold in range(num_folds):
            teaching = truth[folds != fold, side]
            masses, without = int((teaching == 1).sum()), int((teaching == 0).sum())
            if not masses or not without:
                raise ValueError(
                    f"the {name} report model of fold {fold} would learn from {masses} reports with and {without} without a mass: "
                    "it needs some of each; ingest more masks (splits strong and validation), or lower reports.num_folds"
                )


def choose_watching(patients: np.ndarray, truth: np.ndarray, *, share: float, rng: np.random.Generator) -> np.ndarray:
    """Return [N] bool: the reports of a share (0 to 0.5) of the patients, masses among them as among all; none where the share is 0.

    patients, truth: as in assign_folds
    """
    if not share:
        return np.zeros(len(patients), bool)
    return assign_folds(patients, truth, num_folds=round(1 / share), rng=rng) == 0


def choose_share(patients: np.ndarray, *, share: float, rng: np.random.Generator) -> np.ndarray:
    """Return [N] bool: the reports of a random share (0 to 1) of the patients, at least one patient."""
    ids, patient_of = np.unique(patients.astype(str), return_inverse=True)
    chosen = rng.permutation(len(ids)) < max(1, round(share * len(ids)))
    return chosen[patient_of]
