"""The second mode of the FROC: every operating point cuts the map at its own threshold.

A score sweep keeps each candidate's outline as it is at the floor; here the outline tightens as the threshold rises, a blob may
fall apart and a lesion may be lost again, so sensitivity can fall while false positives rise (seed 000, table 3, does so).
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy import sparse

from system.metrics.bootstrap import PatientCounts
from system.metrics.config import FrocConfig
from system.metrics.froc import Curve, counts_as_false, curve_of_counts
from system.metrics.matching import Components, Detections, Outcome, components, highest, match, overlaps


@dataclass(frozen=True, slots=True)
class CutCounts:
    """What each cut through one image's map yields."""

    found: np.ndarray  # [T] int64 lesions found
    false: np.ndarray  # [T] int64 false positives


def cut_levels(peaks: np.ndarray, *, config: FrocConfig) -> np.ndarray:
    """Return the thresholds, falling: half evenly spaced from the floor to the highest peak, half at quantiles of the peaks.

    The quantiles put operating points where images drop out, also for a net whose probabilities are all low.

    peaks: [images] float, the highest probability of each map, 0 to 1
    """
    high = peaks[peaks >= config.candidate_floor]
    if not len(high):
        return np.array([config.candidate_floor])
    even = np.linspace(config.candidate_floor, high.max(), config.num_thresholds - config.num_thresholds // 2)
    return np.unique(np.concatenate([even, np.quantile(high, np.linspace(0, 1, config.num_thresholds // 2))]))[::-1]


def count_cuts(probability: np.ndarray, floor: Components, *, lesions: Components, levels: np.ndarray, config: FrocConfig) -> CutCounts:
    """Return what the cuts through one map find.

    probability: [H, W] float, 0 to 1;  floor: its components at the candidate floor, outside of which no cut can keep anything
    lesions: [H, W] labels;  levels: [T] float, falling, none below the floor
    """
    found, false = np.zeros(len(levels), dtype=np.int64), np.zeros(len(levels), dtype=np.int64)
    if not len(floor.area_px):
        return CutCounts(found, false)
    rows, cols = (slice(int(at.min()), int(at.max()) + 1) for at in np.nonzero(floor.labels))
    window = np.where(floor.labels[rows, cols] > 0, probability[rows, cols], 0)
    first = int(np.searchsorted(-levels, -window.max()))  # cuts above the map's peak keep nothing
    cuts = window[None] >= levels[first:, None, None]
    candidates = components(cuts, min_px=config.min_candidate_px)
    iou = overlaps(candidates, Components(lesions.labels[rows, cols], lesions.area_px))
    plane = _plane(candidates)
    outcome = match(_as_images(highest(window, candidates), plane, iou), iou=config.iou).outcome
    num_cuts = len(cuts)
    found[first:] = np.bincount(plane[outcome == Outcome.TRUE_POSITIVE], minlength=num_cuts)
    false[first:] = np.bincount(plane[counts_as_false(outcome, config=config)], minlength=num_cuts)
    return CutCounts(found, false)


def cut_curve(cuts: Sequence[CutCounts], *, levels: np.ndarray, num_lesions: int) -> Curve:
    """Return the curve over all images; an image without candidates brings zeros."""
    found, false = (np.sum(rows, axis=0) for rows in ([cut.found for cut in cuts], [cut.false for cut in cuts]))
    return curve_of_counts(levels, found=found, false=false, num_images=len(cuts), num_lesions=num_lesions)


def cuts_by_patient(cuts: Sequence[CutCounts], *, image_patient: Sequence[str], image_lesions: Sequence[int]) -> PatientCounts:
    """Return the counts by patient, for intervals of this mode.

    image_patient, image_lesions: [images] whose each image is, and how many lesions it shows
    """
    patients, patient = np.unique(np.asarray(image_patient, dtype=str), return_inverse=True)
    member = sparse.csr_array((np.ones(len(patient)), (np.arange(len(patient)), patient)), shape=(len(patient), len(patients)))
    found, false = (np.stack(rows, axis=1) @ member for rows in ([cut.found for cut in cuts], [cut.false for cut in cuts]))
    return PatientCounts(
        patients=tuple(patients.tolist()),
        images=np.bincount(patient, minlength=len(patients)),
        lesions=np.bincount(patient, weights=np.asarray(image_lesions), minlength=len(patients)).astype(np.int64),
        found=sparse.csr_array(np.diff(found, axis=0, prepend=0)),
        false=sparse.csr_array(np.diff(false, axis=0, prepend=0)),
    )


def _plane(found: Components) -> np.ndarray:
    """Return which cut of the stack each component lies in: [N] int64."""
    plane = np.zeros(len(found.area_px) + 1, dtype=np.int64)
    inside = np.nonzero(found.labels)
    plane[found.labels[inside]] = inside[0]
    return plane[1:]


def _as_images(score: np.ndarray, plane: np.ndarray, iou: np.ndarray) -> Detections:
    """Return the cuts as if each were an image of its own with all the lesions, so that one call matches them all.

    score, plane: [N];  iou: [N, M]
    """
    num_planes, num_lesions = int(plane.max(initial=-1)) + 1, iou.shape[1]
    candidate, lesion = np.nonzero(iou)
    return Detections(
        num_images=num_planes,
        score=score,
        candidate_image=plane,
        lesion_image=np.repeat(np.arange(num_planes), num_lesions),
        pair_candidate=candidate,
        pair_lesion=plane[candidate] * num_lesions + lesion,
        pair_iou=iou[candidate, lesion],
    )
