"""The second mode of the FROC: every operating point cuts the map at its own threshold.

A score sweep keeps each candidate's outline as it is at the floor; here the outline tightens as the threshold rises, a blob may
fall apart and a lesion may be lost again, so sensitivity can fall while false positives rise (seed 000, table 3, does so).
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy import ndimage, sparse

from system.maps import Components, components, peaks
from system.metrics.bootstrap import PatientCounts
from system.metrics.config import FrocConfig
from system.metrics.froc import Curve, counts_as_false, curve_of_counts
from system.metrics.matching import Detections, Outcome, match, overlaps


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
    high = peaks[peaks >= config.candidate_threshold]
    if not len(high):
        return np.array([config.candidate_threshold])
    even = np.linspace(config.candidate_threshold, high.max(), config.num_thresholds - config.num_thresholds // 2)
    return np.unique(np.concatenate([even, np.quantile(high, np.linspace(0, 1, config.num_thresholds // 2))]))[::-1]


def count_cuts(
    probability: np.ndarray, floor: Components, *, lesions: Components, levels: np.ndarray, config: FrocConfig
) -> CutCounts:
    """Return what the cuts through one map find.

    probability: [H, W] float, 0 to 1;  floor: its components at the candidate floor, outside of which no cut can keep anything
    lesions: [H, W] labels;  levels: [T] float, falling, none below the floor
    """
    windows = enumerate(ndimage.find_objects(floor.labels), start=1)
    parts = [
        _cut(
            np.where(floor.labels[window] == number, probability[window], 0),
            lesions=Components(lesions.labels[window], lesions.area_px),
            levels=levels,
            min_px=config.min_candidate_px,
        )
        for number, window in windows
    ]
    if not parts:
        return CutCounts(np.zeros(len(levels), dtype=np.int64), np.zeros(len(levels), dtype=np.int64))
    score, level, iou = (np.concatenate(columns) for columns in zip(*parts, strict=True))
    outcome = match(_as_images(score, level, iou), iou=config.iou).outcome
    return CutCounts(
        found=np.bincount(level[outcome == Outcome.TRUE_POSITIVE], minlength=len(levels)),
        false=np.bincount(level[counts_as_false(outcome, config=config)], minlength=len(levels)),
    )


def cut_curve(cuts: Sequence[CutCounts], *, levels: np.ndarray, num_lesions: int) -> Curve:
    """Return the curve over all images; an image without candidates brings zeros."""
    found, false = (np.sum(rows, axis=0) for rows in ([cut.found for cut in cuts], [cut.false for cut in cuts]))
    return curve_of_counts(levels, found=found, false=false, num_images=len(cuts), num_lesions=num_lesions)


def cuts_by_patient(
    cuts: Sequence[CutCounts], *, image_patient: Sequence[str], image_lesions: Sequence[int]
) -> PatientCounts:
    """Return the counts by patient, for intervals of this mode.

    image_patient, image_lesions: [images] whose each image is, and how many lesions it shows
    """
    patients, patient = np.unique(np.asarray(image_patient, dtype=str), return_inverse=True)
    member = sparse.csr_array(
        (np.ones(len(patient)), (np.arange(len(patient)), patient)), shape=(len(patient), len(patients))
    )
    found, false = (
        np.stack(rows, axis=1) @ member for rows in ([cut.found for cut in cuts], [cut.false for cut in cuts])
    )
    return PatientCounts(
        patients=tuple(patients.tolist()),
        images=np.bincount(patient, minlength=len(patients)),
        lesions=np.bincount(patient, weights=np.asarray(image_lesions), minlength=len(patients)).astype(np.int64),
        found=sparse.csr_array(np.diff(found, axis=0, prepend=0)),
        false=sparse.csr_array(np.diff(false, axis=0, prepend=0)),
    )


def _cut(
    window: np.ndarray, *, lesions: Components, levels: np.ndarray, min_px: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return what the cuts leave of one component: score [n] float, place of the cut among the levels [n] int64, and IoU [n, M].

    window: [H, W] float, the component's probabilities, 0 outside it;  lesions: labels [H, W] of the same window, areas of the whole
    """
    first = int(np.searchsorted(-levels, -window.max()))  # cuts above the peak keep nothing
    candidates = components(window[None] >= levels[first:, None, None], min_px=min_px)
    return peaks(window, candidates), first + _plane(candidates), overlaps(candidates, lesions)


def _plane(found: Components) -> np.ndarray:
    """Return which cut of the stack each component lies in: [N] int64."""
    plane = np.zeros(len(found.area_px) + 1, dtype=np.int64)
    inside = np.nonzero(found.labels)
    plane[found.labels[inside]] = inside[0]
    return plane[1:]


def _as_images(score: np.ndarray, plane: np.ndarray, iou: np.ndarray) -> Detections:
    """Return the cuts as if each were an image of its own with all the lesions, so that one call matches them all.

    score: [N] float;  plane: [N] int64, which cut;  iou: [N, M] float
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
