"""Divide annotated reports into folds so that no patient is both in training and in test."""

from fractions import Fraction

import numpy as np

from system.errors import UserError

_FINEST = 20  # parts of the patients, of which some are a share
_MOST = 127  # folds: they are counted in 8 bits


def assign_folds(patients: np.ndarray, truth: np.ndarray, *, num_folds: int, rng: np.random.Generator) -> np.ndarray:
    """Return each report's fold, [N] int8, 0 to num_folds - 1.

    patients: [N] text ids
    truth: [N, 2] int8, left and right: 1 mass, 0 none, -1 not known

    A patient's reports share a fold. Patients with the same pattern of masses are dealt out one by one, so the folds
    differ by at most one patient of each pattern.
    """
    ids, patient_of = np.unique(patients.astype(str), return_inverse=True)
    pattern = np.zeros(len(ids), np.int64)
    for side in (0, 1):
        has_mass = np.zeros(len(ids), bool)
        np.logical_or.at(has_mass, patient_of, truth[:, side] == 1)
        pattern += has_mass.astype(np.int64) << side
    order = np.lexsort((rng.random(len(ids)), pattern))
    fold_of_patient = np.empty(len(ids), np.int8)
    fold_of_patient[order] = np.arange(len(ids)) % num_folds
    return fold_of_patient[patient_of]


def check_folds(truth: np.ndarray, folds: np.ndarray, *, num_folds: int) -> None:
    """Raise UserError unless the training part of every fold holds both classes of both sides.

    truth: [N, 2] int8, as in assign_folds
    folds: [N] int8
    """
    for side, name in enumerate(("left", "right")):
        for fold in range(num_folds):
            training = truth[folds != fold, side]
            masses, without = int((training == 1).sum()), int((training == 0).sum())
            if not masses or not without:
                raise UserError(
                    f"the {name} report model of fold {fold} would learn from {masses} reports with and {without} "
                    "without a mass: it needs some of each; ingest more masks (splits strong and validation), or lower "
                    "reports.num_folds"
                )


def choose_early_stopping(
    patients: np.ndarray, truth: np.ndarray, *, share: float, rng: np.random.Generator
) -> np.ndarray:
    """Return which reports belong to a share of the patients, [N] bool; masses are as frequent among them as among all.

    patients, truth: as in assign_folds
    share: 0 to 0.5; 0 = none
    """
    if not share:
        return np.zeros(len(patients), bool)
    if share < 1 / _FINEST:
        return assign_folds(patients, truth, num_folds=min(_MOST, round(1 / share)), rng=rng) == 0
    finest = min(_FINEST, len(set(patients.tolist())))  # no fold without a patient
    parts = Fraction(share).limit_denominator(max(2, finest))  # 0.4 is two folds of five, not one of round(2.5)
    taken, of = max(1, parts.numerator), parts.denominator
    folds = assign_folds(patients, truth, num_folds=of, rng=rng).astype(np.int64)
    return folds * taken % of < taken  # so many folds, spread evenly over all, as the patterns of masses are


def choose_share(patients: np.ndarray, *, share: float, rng: np.random.Generator) -> np.ndarray:
    """Return which reports belong to a random share of the patients, [N] bool.

    patients: [N] text ids
    share: 0 to 1; at least one patient is chosen
    """
    ids, patient_of = np.unique(patients.astype(str), return_inverse=True)
    chosen = rng.permutation(len(ids)) < max(1, round(share * len(ids)))
    return chosen[patient_of]
