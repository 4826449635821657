"""Which candidate finds which lesion: overlap, and the greedy assignment."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import IntEnum
from typing import TYPE_CHECKING, TypeVar

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from system.maps import Components

Number = TypeVar("Number", np.int64, np.float64)


class Outcome(IntEnum):
    """What became of a candidate."""

    FALSE_POSITIVE = 0  # overlaps no lesion enough
    TRUE_POSITIVE = 1  # found a lesion
    DUPLICATE = 2  # overlaps only lesions that others found
    PASSED_OVER = 3  # finds a lesion that does not count here: of another group, or of a breast that is found already


@dataclass(frozen=True, slots=True)
class Detections:
    """Candidates and lesions of many images; pairs are those that overlap at all."""

    num_images: int
    score: NDArray[np.float64]  # [N] 0 to 1
    candidate_image: NDArray[np.int64]  # [N] 0 to num_images - 1
    lesion_image: NDArray[np.int64]  # [M] 0 to num_images - 1
    pair_candidate: NDArray[np.int64]  # [K] 0 to N - 1
    pair_lesion: NDArray[np.int64]  # [K] 0 to M - 1
    pair_iou: NDArray[np.float64]  # [K] above 0 to 1


@dataclass(frozen=True, slots=True)
class Match:
    """The outcome of every candidate."""

    outcome: NDArray[np.uint8]  # [N] Outcome
    lesion: NDArray[np.int64]  # [N] the lesion found or, for a duplicate, overlapped most; -1 for a false positive
    nearest: NDArray[np.int64]  # [N] the lesion of highest IoU, also below the limit of a hit; -1 where it touches none
    iou: NDArray[np.float64]  # [N] with `lesion`; of a false positive with `nearest`, 0 where it touches none


def overlaps(candidates: "Components", lesions: "Components") -> NDArray[np.float64]:
    """Return the IoU of every candidate with every lesion: [N, M].

    candidates: labels [..., H, W]
    lesions: labels [H, W], areas may count pixels outside this window
    """
    num_candidates, num_lesions = len(candidates.area_px), len(lesions.area_px)
    pair = candidates.labels.astype(np.int64) * (num_lesions + 1) + lesions.labels
    counts = np.bincount(pair.ravel(), minlength=(num_candidates + 1) * (num_lesions + 1))
    shared = counts.reshape(num_candidates + 1, -1)[1:, 1:]  # without the background of either
    return shared / (candidates.area_px[:, None] + lesions.area_px[None, :] - shared)


def gather(images: Sequence[tuple[NDArray[np.floating], NDArray[np.floating]]]) -> Detections:
    """Return the detections of a list of images. Raises ValueError where the two arrays of an image do not fit.

    images: per image the candidates' scores [n], 0 to 1, and their IoU with the image's lesions [n, m]; both may be
        empty, m is the number of lesions also where n is 0
    """
    for index, (scores, iou) in enumerate(images):
        if iou.ndim != 2 or len(iou) != len(scores):
            raise ValueError(
                f"image {index}: {len(scores)} scores but an IoU matrix of shape {iou.shape}; "
                "give [candidates, lesions]"
            )
    num_candidates = np.array([iou.shape[0] for _, iou in images], dtype=np.int64)
    num_lesions = np.array([iou.shape[1] for _, iou in images], dtype=np.int64)
    first_candidate = np.cumsum(num_candidates) - num_candidates
    first_lesion = np.cumsum(num_lesions) - num_lesions
    pairs = [(index, *np.nonzero(iou)) for index, (_, iou) in enumerate(images) if iou.size]
    return Detections(
        num_images=len(images),
        score=_joined([scores for scores, _ in images], dtype=np.float64),
        candidate_image=np.repeat(np.arange(len(images)), num_candidates),
        lesion_image=np.repeat(np.arange(len(images)), num_lesions),
        pair_candidate=_joined([first_candidate[index] + rows for index, rows, _ in pairs], dtype=np.int64),
        pair_lesion=_joined([first_lesion[index] + cols for index, _, cols in pairs], dtype=np.int64),
        pair_iou=_joined([images[index][1][rows, cols] for index, rows, cols in pairs], dtype=np.float64),
    )


def match(detections: Detections, *, iou: float) -> Match:
    """Return what each candidate found, greedily by falling score (docs/method.md, Evaluation, rules 3 and 4).

    Each candidate takes the free lesion of highest IoU strictly above `iou`. Among equal scores the greater overlap
    goes first, so the outcome does not depend on the order of the input.
    """
    hits = np.flatnonzero(detections.pair_iou > iou)
    order = np.lexsort((-detections.pair_iou[hits], -detections.score[detections.pair_candidate[hits]]))
    hits = hits[order]
    outcome = np.full(len(detections.score), Outcome.FALSE_POSITIVE, dtype=np.uint8)
    lesion = np.full(len(detections.score), -1, dtype=np.int64)
    nearest, overlap = _nearest(detections)
    free = np.ones(len(detections.lesion_image), dtype=bool)
    columns = (detections.pair_candidate[hits], detections.pair_lesion[hits], detections.pair_iou[hits])
    for candidate, target, value in zip(*(column.tolist() for column in columns), strict=True):
        if outcome[candidate] == Outcome.TRUE_POSITIVE:
            continue
        if free[target]:
            free[target] = False
            outcome[candidate], lesion[candidate], overlap[candidate] = Outcome.TRUE_POSITIVE, target, value
        elif outcome[candidate] == Outcome.FALSE_POSITIVE:
            outcome[candidate], lesion[candidate], overlap[candidate] = Outcome.DUPLICATE, target, value
    return Match(outcome, lesion, nearest, overlap)


def _nearest(detections: Detections) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Return each candidate's lesion of highest IoU, [N], -1 where it touches none, and that IoU, [N]."""
    rising = np.argsort(detections.pair_iou, kind="stable")
    nearest = np.full(len(detections.score), -1, dtype=np.int64)
    overlap = np.zeros(len(detections.score))
    nearest[detections.pair_candidate[rising]] = detections.pair_lesion[rising]  # the last one written is the highest
    overlap[detections.pair_candidate[rising]] = detections.pair_iou[rising]
    return nearest, overlap


def _joined(parts: Sequence[NDArray[np.generic]], *, dtype: type[Number]) -> NDArray[Number]:
    """Concatenate, also nothing at all."""
    return np.concatenate([np.empty(0, dtype=dtype), *parts]).astype(dtype)
