"""Which candidate finds which lesion: components, their overlap, and the greedy assignment."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import IntEnum

import numpy as np
from PIL import Image
from scipy import ndimage

EIGHT_NEIGHBOURS = np.ones((3, 3), dtype=bool)


class Outcome(IntEnum):
    """What became of a candidate."""

    FALSE_POSITIVE = 0  # overlaps no lesion enough
    TRUE_POSITIVE = 1  # found a lesion
    DUPLICATE = 2  # overlaps only lesions that others found
    PASSED_OVER = 3  # finds a lesion that is not asked about: of another group, or of a breast that is found already


@dataclass(frozen=True, slots=True)
class Components:
    """The connected components of one image (or of a stack of cuts through it)."""

    labels: np.ndarray  # [..., H, W] int32, 0 background, 1..N
    area_px: np.ndarray  # [N] int64


@dataclass(frozen=True, slots=True)
class Detections:
    """Candidates and lesions of many images; pairs are those that overlap at all."""

    num_images: int
    score: np.ndarray  # [N] float, 0 to 1
    candidate_image: np.ndarray  # [N] int64, 0 to num_images - 1
    lesion_image: np.ndarray  # [M] int64, 0 to num_images - 1
    pair_candidate: np.ndarray  # [K] int64, 0 to N - 1
    pair_lesion: np.ndarray  # [K] int64, 0 to M - 1
    pair_iou: np.ndarray  # [K] float, above 0 to 1


@dataclass(frozen=True, slots=True)
class Match:
    """The outcome of every candidate."""

    outcome: np.ndarray  # [N] uint8, Outcome
    lesion: np.ndarray  # [N] int64: the lesion found or, for a duplicate, overlapped most; -1 for a false positive
    iou: np.ndarray  # [N] float: with that lesion, 0 for a false positive


def upsample(coarse: np.ndarray, *, shape: tuple[int, int]) -> np.ndarray:
    """Return the map brought bilinearly to `shape`, half-pixel centres, as the net's own upsampling does.

    coarse: [h, w] float, 0 to 1;  returns [H, W] float32
    """
    rows, cols = shape
    image = Image.fromarray(np.ascontiguousarray(coarse, dtype=np.float32))
    return np.asarray(image.resize((cols, rows), Image.Resampling.BILINEAR))


def components(mask: np.ndarray, *, min_px: int) -> Components:
    """Return the 8-connected components of at least `min_px` pixels.

    mask: [H, W] bool, or [T, H, W] bool for T cuts that are labelled apart
    """
    structure = EIGHT_NEIGHBOURS
    if mask.ndim == 3:
        structure = np.zeros((3, 3, 3), dtype=bool)
        structure[1] = True
    labels = np.empty(mask.shape, dtype=np.int32)
    num_found = int(ndimage.label(mask, structure=structure, output=labels))  # type: ignore[arg-type]
    area_px = np.bincount(labels.ravel(), minlength=num_found + 1)
    kept = area_px >= min_px
    kept[0] = False
    renumbered = np.where(kept, np.cumsum(kept), 0).astype(np.int32)
    return Components(renumbered[labels], area_px[kept])


def highest(values: np.ndarray, found: Components) -> np.ndarray:
    """Return each component's highest value: [N] float32.

    values: float, broadcastable to the labels' shape, 0 to 1
    """
    inside = found.labels > 0
    peaks = np.zeros(len(found.area_px) + 1, dtype=np.float32)
    np.maximum.at(peaks, found.labels[inside], np.broadcast_to(values, found.labels.shape)[inside])
    return peaks[1:]


def overlaps(candidates: Components, lesions: Components) -> np.ndarray:
    """Return the IoU of every candidate with every lesion: [N, M] float64.

    candidates: labels [..., H, W];  lesions: labels [H, W], areas may count pixels outside this window
    """
    num_candidates, num_lesions = len(candidates.area_px), len(lesions.area_px)
    pair = candidates.labels.astype(np.int64) * (num_lesions + 1) + lesions.labels
    shared = np.bincount(pair.ravel(), minlength=(num_candidates + 1) * (num_lesions + 1)).reshape(num_candidates + 1, -1)[1:, 1:]
    return shared / (candidates.area_px[:, None] + lesions.area_px[None, :] - shared)


def gather(images: Sequence[tuple[np.ndarray, np.ndarray]]) -> Detections:
    """Return the detections of a list of images.

    images: per image the candidates' scores [n] float 0 to 1 and their IoU with the image's lesions [n, m]; both may be empty,
        but the shape of the latter must say how many lesions there are
    """
    for index, (scores, iou) in enumerate(images):
        if iou.ndim != 2 or len(iou) != len(scores):
            raise ValueError(f"image {index}: {len(scores)} scores but an IoU matrix of shape {iou.shape}; give [candidates, lesions]")
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
    """Return what each candidate found, greedily by falling score (METHODS 1.7, rules 3 and 4).

    Each candidate takes the free lesion of highest IoU strictly above `iou`. Among equal scores the greater overlap goes first, so the
    outcome does not depend on the order of the input.
    """
    hits = np.flatnonzero(detections.pair_iou > iou)
    order = np.lexsort((-detections.pair_iou[hits], -detections.score[detections.pair_candidate[hits]]))
    hits = hits[order]
    outcome = np.full(len(detections.score), Outcome.FALSE_POSITIVE, dtype=np.uint8)
    lesion = np.full(len(detections.score), -1, dtype=np.int64)
    overlap = np.zeros(len(detections.score))
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
    return Match(outcome, lesion, overlap)


def _joined(parts: list[np.ndarray], *, dtype: type) -> np.ndarray:
    """Concatenate, also nothing at all."""
    return np.concatenate([np.empty(0, dtype=dtype), *parts]).astype(dtype)
