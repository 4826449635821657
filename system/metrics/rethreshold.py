"""The second mode of the FROC: every operating point cuts the map at its own threshold.

A score sweep keeps each candidate's outline. Here the outline tightens as the
threshold rises, a blob may fall apart and a lesion may be lost again. So sensitivity can fall while false positives
rise, as it does in Tang et al. 2021, table 3.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import cast

import numpy as np
from numpy.typing import NDArray
from scipy import sparse  # pyright: ignore[reportMissingTypeStubs] - no stubs in the lock file

from system.maps import Components, components, find_boxes, peaks
from system.metrics.bootstrap import PatientCounts
from system.metrics.config import FrocConfig
from system.metrics.froc import Curve, counts_as_false, curve_of_counts
from system.metrics.matching import Detections, Outcome, match, overlaps


@dataclass(frozen=True, slots=True)
class CutCounts:
    """Counts at each cut through one image's map."""

    found: NDArray[np.int64]  # [T] lesions found
    false: NDArray[np.int64]  # [T] false positives


def cut_levels(peaks: NDArray[np.floating], *, config: FrocConfig) -> NDArray[np.float64]:
    """Return the levels at which maps are cut: [T], falling.

    Half are evenly spaced from the lowest cut (the candidate threshold, or what is negligible) to the highest peak,
    half lie at quantiles of the peaks. The quantiles put operating points where images drop out, also for a network
    whose probabilities are all low.

    peaks: [images] the highest probability of each map, 0 to 1
    """
    high = peaks[peaks >= config.lowest_cut]
    if not len(high):
        return np.array([config.lowest_cut])
    highest: np.floating = high.max()  # its type is that of the evenly spaced levels: float32 for maps of float32
    num_spread = config.num_thresholds // 2
    even = np.linspace(config.lowest_cut, highest, config.num_thresholds - num_spread)
    spread = np.quantile(high, np.linspace(0, 1, num_spread)).astype(np.float64)
    return np.unique(np.concatenate([even.astype(np.float64), spread]))[::-1]


def count_cuts(
    probability: NDArray[np.floating],
    above: Components,
    *,
    lesions: Components,
    levels: NDArray[np.float64],
    config: FrocConfig,
) -> CutCounts:
    """Return the lesions found and the false positives made at each cut through one map.

    probability: [H, W], 0 to 1
    above: its components at the lowest cut, outside of which no cut can keep anything
    lesions: [H, W] labels
    levels: [T], falling, none below the lowest cut
    """
    parts = [
        _cut(
            np.where(above.labels[window] == number, probability[window], 0),
            lesions=Components(lesions.labels[window], lesions.area_px),
            levels=levels,
            min_px=config.min_candidate_px,
        )
        for number, window in enumerate(find_boxes(above.labels), start=1)
    ]
    if not parts:
        return CutCounts(np.zeros(len(levels), dtype=np.int64), np.zeros(len(levels), dtype=np.int64))
    score, level, iou = (np.concatenate(columns) for columns in zip(*parts, strict=True))
    outcome = match(_as_images(score, level, iou), iou=config.iou).outcome
    return CutCounts(
        found=np.bincount(level[outcome == Outcome.TRUE_POSITIVE], minlength=len(levels)),
        false=np.bincount(level[counts_as_false(outcome, config=config)], minlength=len(levels)),
    )


def cut_curve(cuts: Sequence[CutCounts], *, levels: NDArray[np.float64], num_lesions: int) -> Curve:
    """Return the curve over all images; an image without candidates adds zeros."""
    found, false = (np.sum(rows, axis=0) for rows in ([cut.found for cut in cuts], [cut.false for cut in cuts]))
    return curve_of_counts(levels, found=found, false=false, num_images=len(cuts), num_lesions=num_lesions)


def cuts_by_patient(
    cuts: Sequence[CutCounts], *, image_patient: Sequence[str], image_lesions: Sequence[int]
) -> PatientCounts:
    """Return the counts by patient, for intervals of this mode.

    image_patient: [images] the patient of each image
    image_lesions: [images] how many lesions it shows
    """
    patients, patient = np.unique(np.asarray(image_patient, dtype=str), return_inverse=True)
    member = sparse.csr_array(
        (np.ones(len(patient)), (np.arange(len(patient)), patient)), shape=(len(patient), len(patients))
    )

    def by_patient(rows: list[NDArray[np.int64]]) -> sparse.csr_array:
        counts = cast("NDArray[np.float64]", np.stack(rows, axis=1) @ member)  # scipy gives its products no type
        return sparse.csr_array(np.diff(counts, axis=0, prepend=0))

    return PatientCounts(
        patients=tuple(patients.tolist()),
        images=np.bincount(patient, minlength=len(patients)),
        lesions=np.bincount(patient, weights=np.asarray(image_lesions), minlength=len(patients)).astype(np.int64),
        found=by_patient([cut.found for cut in cuts]),
        false=by_patient([cut.false for cut in cuts]),
    )


def _cut(
    window: NDArray[np.floating], *, lesions: Components, levels: NDArray[np.float64], min_px: int
) -> tuple[NDArray[np.float32], NDArray[np.int64], NDArray[np.float64]]:
    """Return what the cuts leave of one component: score [n], place of the cut among the levels [n], and IoU [n, M].

    window: [H, W] the component's probabilities, 0 outside it
    lesions: labels [H, W] of the same window, areas of the whole
    """
    first = int(np.searchsorted(-levels, -float(window.max())))  # cuts above the peak keep nothing
    candidates = components(window[None] >= levels[first:, None, None], min_px=min_px)
    return peaks(window, candidates), first + _plane(candidates), overlaps(candidates, lesions)


def _plane(found: Components) -> NDArray[np.int64]:
    """Return which cut of the stack each component lies in: [N]."""
    plane = np.zeros(len(found.area_px) + 1, dtype=np.int64)
    inside = np.nonzero(found.labels)
    plane[found.labels[inside]] = inside[0]
    return plane[1:]


def _as_images(score: NDArray[np.float32], plane: NDArray[np.int64], iou: NDArray[np.float64]) -> Detections:
    """Return the cuts as if each were an image of its own with all the lesions, so that one call matches them all.

    score: [N]
    plane: [N] which cut
    iou: [N, M]
    """
    num_planes, num_lesions = int(plane.max(initial=-1)) + 1, iou.shape[1]
    candidate, lesion = np.nonzero(iou)
    return Detections(
        num_images=num_planes,
        score=score.astype(np.float64),
        candidate_image=plane,
        lesion_image=np.repeat(np.arange(num_planes), num_lesions),
        pair_candidate=candidate,
        pair_lesion=plane[candidate] * num_lesions + lesion,
        pair_iou=iou[candidate, lesion],
    )
