"""FROC of boxes: any system's candidates against any truth, without maps.

The rules are those of maps (docs/method.md, Evaluation).
"""

from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from system.errors import UserError
from system.metrics.bootstrap import count_by_patient
from system.metrics.config import STEP, FrocConfig
from system.metrics.froc import froc_curve
from system.metrics.matching import Detections, Match, Outcome, match
from system.metrics.summary import CurvePoints, FrocSummary, points, summarise

How = Literal["iou", "iom", "centre"]
"""What makes a hit.

iou: intersection over union, above a limit
iom: intersection over the smaller of the two, at or above a limit (Bakalo et al. 2021)
centre: the candidate's centre lies inside the lesion's box
"""
LIMITS: dict[str, float] = {"iou": 0.2, "iom": 0.5, "centre": 0.0}
OUTCOMES = {Outcome.TRUE_POSITIVE: "TP", Outcome.FALSE_POSITIVE: "FP", Outcome.DUPLICATE: "duplicate"}


@dataclass(frozen=True, slots=True)
class BoxSet:
    """Images, their lesions and a system's candidates.

    Boxes are x0, y0, x1, y1, half open, in any unit that lesions and candidates share.
    """

    image_id: tuple[str, ...]  # [I], each once
    patient: tuple[str, ...]  # [I]
    breast: tuple[str, ...]  # [I], or empty: not known
    lesion_image: NDArray[np.int64]  # [M] 0 to I - 1
    lesion_box: NDArray[np.float64]  # [M, 4]
    candidate_image: NDArray[np.int64]  # [N] 0 to I - 1
    candidate_box: NDArray[np.float64]  # [N, 4]
    score: NDArray[np.float64]  # [N] 0 to 1


@dataclass(frozen=True, slots=True)
class BoxRules:
    """What counts as a hit, and what a sensitivity is a share of."""

    how: How = "iou"
    limit: float = LIMITS["iou"]
    per: Literal["image", "breast"] = "image"


@dataclass(frozen=True, slots=True)
class BoxResult:
    """The result of an evaluation of boxes."""

    rules: tuple[str, ...]  # sentences
    # num_tp, num_fp, num_duplicate, num_images, num_patients, num_lesions; per breast also num_breasts_with_lesion.
    counts: dict[str, int]
    froc: FrocSummary
    curve: CurvePoints
    matched: Match  # of every candidate
    lesion: NDArray[np.int64]  # [N] number of that lesion among those of its image from 0, -1 for none


def evaluate_boxes(boxes: BoxSet, *, rules: BoxRules, config: FrocConfig) -> BoxResult:
    """Return the FROC of candidates. Raises UserError as `per_breast` does.

    config: its duplicates, fppi, bootstrap and seed are used, the rest belongs to maps
    """
    detections = overlapping(boxes, how=rules.how)
    # A hit of `match` is above the limit, strictly.
    limit = np.nextafter(rules.limit, -1) if rules.how == "iom" else rules.limit
    matched = match(detections, iou=float(limit))
    counted, outcome = per_breast(detections, matched, boxes) if rules.per == "breast" else (detections, matched)
    curve = froc_curve(counted, outcome, config=config)
    by_patient = count_by_patient(counted, outcome, image_patient=boxes.patient, config=config)
    counts = {f"num_{name.lower()}": int(np.count_nonzero(matched.outcome == one)) for one, name in OUTCOMES.items()}
    counts |= {
        "num_images": len(boxes.image_id),
        "num_patients": len(set(boxes.patient)),
        "num_lesions": len(boxes.lesion_image),
    }
    if rules.per == "breast":
        counts["num_breasts_with_lesion"] = len(counted.lesion_image)
    return BoxResult(
        rules=tuple(sentences(rules, config=config)),
        counts=counts,
        froc=summarise(curve, by_patient, config=config),
        curve=points(curve),
        matched=matched,
        lesion=_number_in_image(matched.lesion, boxes.lesion_image),
    )


def overlapping(boxes: BoxSet, *, how: How) -> Detections:
    """Return the candidates and lesions with the overlap of each pair that has one.

    how: the overlap is the IoU, the IoM, or the IoU of pairs in which the candidate's centre lies in the lesion's box
    """
    order = np.argsort(boxes.lesion_image, kind="stable")
    of_image = boxes.lesion_image[order]
    first = np.searchsorted(of_image, boxes.candidate_image, side="left")
    count = np.searchsorted(of_image, boxes.candidate_image, side="right") - first
    candidate = np.repeat(np.arange(len(boxes.score)), count)
    place = np.arange(int(count.sum())) - np.repeat(np.cumsum(count) - count, count)  # 0, 1, … within each candidate
    lesion = order[np.repeat(first, count) + place]
    value = _overlap(boxes.candidate_box[candidate], boxes.lesion_box[lesion], how=how)
    kept = value > 0
    return Detections(
        num_images=len(boxes.image_id),
        score=boxes.score,
        candidate_image=boxes.candidate_image,
        lesion_image=boxes.lesion_image,
        pair_candidate=candidate[kept],
        pair_lesion=lesion[kept],
        pair_iou=value[kept],
    )


def per_breast(detections: Detections, matched: Match, boxes: BoxSet) -> tuple[Detections, Match]:
    """Return the same with a breast in place of its lesions: found with the first of them, whichever view shows it.

    A hit on a further lesion of a found breast counts neither way. Raises UserError where breasts are not known, or
    where one belongs to two patients.
    """
    if not boxes.breast:
        raise UserError(
            "sensitivity per breast needs a column breast_id in the images: study and side, the same in all views of a "
            "breast"
        )
    if len(set(zip(boxes.breast, boxes.patient, strict=True))) != len(set(boxes.breast)):
        raise UserError("a breast_id belongs to two patients: make it unique over all patients, e.g. by the study")
    _, breast = np.unique(np.asarray(boxes.breast, dtype=str), return_inverse=True)
    hits = np.flatnonzero(matched.outcome == Outcome.TRUE_POSITIVE)
    hits = hits[np.argsort(-detections.score[hits], kind="stable")]
    _, firsts = np.unique(breast[detections.candidate_image[hits]], return_index=True)
    outcome = matched.outcome.copy()
    outcome[np.delete(hits, firsts)] = Outcome.PASSED_OVER
    _, one_each = np.unique(breast[detections.lesion_image], return_index=True)
    return replace(detections, lesion_image=detections.lesion_image[one_each]), replace(matched, outcome=outcome)


def sentences(rules: BoxRules, *, config: FrocConfig) -> list[str]:
    """Return the rules as sentences, to be printed with the result."""
    hit = {
        "iou": f"of highest IoU, if that is above {rules.limit:g}",
        "iom": f"of highest intersection over the smaller box, if that is at least {rules.limit:g}",
        "centre": "whose box holds its centre, of several the one of highest IoU",
    }[rules.how]
    further = "count neither way" if config.duplicates == "ignore" else "count as false positives"
    share = {"image": "all lesions found", "breast": "the breasts with a lesion in which one was found, in any view"}[
        rules.per
    ]
    return [
        f"By falling score each candidate takes the free lesion {hit}.",
        f"Further hits on a found lesion {further}.",
        "False positives are counted per image over all images, those without candidates or without lesions too.",
        f"Sensitivity is the share of {share}; at x {STEP}; equal scores are one operating point.",
        f"95 % intervals resample patients {config.bootstrap} times, seed {config.seed}.",
    ]


def _overlap(first: NDArray[np.float64], second: NDArray[np.float64], *, how: How) -> NDArray[np.float64]:
    """Return the overlap of each pair of boxes: [K], 0 to 1. first, second: [K, 4]."""
    low, high = np.maximum(first[:, :2], second[:, :2]), np.minimum(first[:, 2:], second[:, 2:])
    shared = np.prod(np.clip(high - low, 0, None), axis=1)
    areas = [np.prod(box[:, 2:] - box[:, :2], axis=1) for box in (first, second)]
    if how == "iom":
        return shared / np.minimum(*areas)
    iou = shared / (areas[0] + areas[1] - shared)
    if how == "iou":
        return iou
    centre = (first[:, :2] + first[:, 2:]) / 2
    inside = np.all((centre >= second[:, :2]) & (centre < second[:, 2:]), axis=1)
    return np.where(inside, iou, 0.0)


def _number_in_image(lesion: NDArray[np.int64], lesion_image: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return each lesion's number among those of its image, in the order given: [N], -1 for none.

    lesion: [N] place among all lesions, -1 for none;  lesion_image: [M]
    """
    order = np.argsort(lesion_image, kind="stable")
    number = np.empty(len(order), dtype=np.int64)
    number[order] = np.arange(len(order)) - np.searchsorted(lesion_image[order], lesion_image[order])
    return np.where(lesion < 0, -1, number[lesion] if len(number) else -1)
