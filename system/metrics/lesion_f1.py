"""How good masks are at one operating point, all their components counted: the lesion F1, by patient.

The mean sensitivity of a FROC says nothing of components beyond its last operating point, so it grows with masks that
cover too much; the F1 does not, and the mask threshold is chosen by it too.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy import sparse  # pyright: ignore[reportMissingTypeStubs] - no stubs in the lock file

from system.errors import UserError
from system.metrics.bootstrap import Interval, PatientCounts, draw_weights, percentile_interval
from system.metrics.config import FrocConfig
from system.metrics.froc import counts_as_false
from system.metrics.matching import Detections, Match, Outcome


def counts_of_all(
    detections: Detections, matched: Match, *, image_patient: Sequence[str], config: FrocConfig
) -> PatientCounts:
    """Return what each patient adds to the only operating point: every candidate counts.

    image_patient: [num_images] the patient of each image
    """
    patients, patient_of_image = np.unique(np.asarray(image_patient, dtype=str), return_inverse=True)
    patient_of_candidate = patient_of_image[detections.candidate_image]

    def tally(which: NDArray[np.bool_]) -> sparse.csr_array:
        return sparse.csr_array(np.bincount(patient_of_candidate[which], minlength=len(patients))[None].astype(float))

    return PatientCounts(
        patients=tuple(patients.tolist()),
        images=np.bincount(patient_of_image, minlength=len(patients)),
        lesions=np.bincount(patient_of_image[detections.lesion_image], minlength=len(patients)),
        found=tally(matched.outcome == Outcome.TRUE_POSITIVE),
        false=tally(counts_as_false(matched.outcome, config=config)),
    )


def lesion_f1(counts: PatientCounts, *, config: FrocConfig) -> tuple[float, Interval]:
    """Return 2 TP / (TP + FP + lesions), 0 to 1, and its 95 % interval over patients; NaN without a lesion.

    counts: of `counts_of_all`
    """
    once = np.ones((1, len(counts.patients)))
    return float(_f1(counts, once)[0]), percentile_interval(_drawn(counts, config=config))


def gain_in_f1(first: PatientCounts, second: PatientCounts, *, config: FrocConfig) -> tuple[float, Interval]:
    """Return second minus first in lesion F1, and its interval, both on the same resamples of the same patients.

    Raises UserError where patients or lesions differ.
    """
    if first.patients != second.patients or not np.array_equal(first.lesions, second.lesions):
        raise UserError("masks are compared on the same patients and lesions only: take them from one archive")
    gain = lesion_f1(second, config=config)[0] - lesion_f1(first, config=config)[0]
    return gain, percentile_interval(_drawn(second, config=config) - _drawn(first, config=config))


def _drawn(counts: PatientCounts, *, config: FrocConfig) -> NDArray[np.float64]:
    rng = np.random.default_rng(config.seed)
    return _f1(counts, draw_weights(len(counts.patients), num_resamples=config.bootstrap, rng=rng))


def _dense(matrix: sparse.csr_array) -> NDArray[np.float64]:
    """Return the only row of a matrix: [P]."""
    return np.asarray(matrix.toarray(), np.float64)[0]  # pyright: ignore[reportUnknownMemberType]


def _f1(counts: PatientCounts, weights: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the F1 of each resample: [R]; NaN where it holds no lesion. weights: [R, P]."""
    found, false = weights @ _dense(counts.found), weights @ _dense(counts.false)
    lesions = weights @ counts.lesions
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.where(lesions > 0, 2 * found / (found + false + lesions), np.nan)
