"""What a system misses, and what it marks for nothing, at one operating point of its FROC curve."""

from collections.abc import Sequence
from dataclasses import dataclass

import pyarrow.compute as pc

from system.evaluation.read_back import EvaluationTables, read_back, read_report
from system.metrics import FrocConfig
from system.metrics.summary import CurvePoints
from system.records import Box
from system.run.results import FrocResult
from system.run.stage import Stage

NO_LESION = -1  # in schemas.CANDIDATES
LOOKED_AT_FPPI = 0.5  # the operating point nearest to it is the one whose errors are looked at


@dataclass(frozen=True, slots=True)
class OperatingPoint:
    """A point of a system's curve: candidates of at least this score count."""

    allowed_fppi: float  # false positives per image, as the settings name the operating point
    threshold: float  # score, 0 to 1; infinite where no candidate is allowed
    fppi: float  # reached
    sensitivity: float  # 0 to 1


@dataclass(frozen=True, slots=True)
class MissedLesion:
    """A lesion that no counted candidate finds."""

    image_id: str
    area_px: int  # canonical
    diameter_mm: float  # of the circle of equal area; 0 where the spacing is not known
    lesion: int  # number within the image
    why: str


@dataclass(frozen=True, slots=True)
class FalsePositive:
    """A counted candidate that finds no lesion."""

    image_id: str
    box_px: Box  # canonical view
    score: float  # 0 to 1


@dataclass(frozen=True, slots=True)
class Errors:
    """The errors of a system at an operating point."""

    point: OperatingPoint
    num_lesions: int
    missed: tuple[MissedLesion, ...]  # the largest first
    false_positives: tuple[FalsePositive, ...]  # the surest first


def errors_of(stage: Stage[FrocResult], *, config: FrocConfig) -> Errors:
    """Return the errors of a finished evaluation at the operating point that people look at. Raises NotFinished."""
    kept = read_back(stage)
    point = operating_point(read_report(stage).sweep_curve, fppi=looked_at(config.fppi))
    return Errors(
        point,
        num_lesions=len(kept.lesions),
        missed=tuple(missed_lesions(kept, threshold=point.threshold, min_iou=config.iou)),
        false_positives=tuple(
            false_positives(kept, threshold=point.threshold, with_duplicates=config.duplicates == "fp")
        ),
    )


def looked_at(fppi: Sequence[float]) -> float:
    """Return the operating point whose errors are looked at: the one nearest to 0.5, of two the lower."""
    return min(fppi, key=lambda each: (abs(each - LOOKED_AT_FPPI), each))


def operating_point(curve: CurvePoints, *, fppi: float) -> OperatingPoint:
    """Return the point of highest sensitivity with at most `fppi` false positives per image; of equals the first."""
    points = zip(curve.threshold, curve.fppi, curve.sensitivity, strict=True)
    allowed = [OperatingPoint(fppi, *point) for point in points if point[1] <= fppi]
    nothing = OperatingPoint(fppi, float("inf"), 0.0, 0.0)
    return max(allowed, key=lambda point: (point.sensitivity, point.threshold), default=nothing)


def missed_lesions(kept: EvaluationTables, *, threshold: float, min_iou: float) -> list[MissedLesion]:
    """Return the lesions that no candidate of at least this score finds, the largest first, each with the reason."""
    by_image: dict[str, list[dict[str, float | int | str]]] = {}
    for row in kept.candidates.to_pylist():
        by_image.setdefault(row["image_id"], []).append(row)
    missed: list[MissedLesion] = []
    for lesion in kept.lesions.to_pylist():
        why = _why_missed(by_image.get(lesion["image_id"], []), lesion["lesion"], threshold=threshold, min_iou=min_iou)
        if why:
            missed.append(
                MissedLesion(lesion["image_id"], lesion["area_px"], lesion["diameter_mm"], lesion["lesion"], why)
            )
    return sorted(missed, key=lambda each: (-each.area_px, each.image_id, each.lesion))


def _why_missed(
    candidates: Sequence[dict[str, float | int | str]], lesion: int, *, threshold: float, min_iou: float
) -> str:
    """Return why a lesion is missed; "" where it is found. candidates: of its image, rows of schemas.CANDIDATES."""
    hits = [float(row["score"]) for row in candidates if row["outcome"] == "TP" and row["lesion"] == lesion]
    if any(score >= threshold for score in hits):
        return ""
    if hits:
        return f"found only below the point's score: {max(hits):.3f}, the point counts from {threshold:.3f} on"
    touching = [row for row in candidates if row["nearest_lesion"] == lesion]
    if not touching:
        if any(row["nearest_lesion"] != NO_LESION for row in candidates):  # what else it covers is not kept
            return "no candidate overlaps it more than another lesion"
        return "no candidate touches it"
    nearest = max(touching, key=lambda row: float(row["iou"]))
    overlap = f"IoU {nearest['iou']:.2f}, a hit needs more than {min_iou:g}"
    return f"nearest candidate of score {nearest['score']:.3f}: {overlap}"


def false_positives(kept: EvaluationTables, *, threshold: float, with_duplicates: bool) -> list[FalsePositive]:
    """Return the candidates of at least this score that find nothing, the surest first.

    with_duplicates: further hits on a found lesion count as false positives
    """
    outcomes = ["FP", "duplicate"] if with_duplicates else ["FP"]
    rows = kept.candidates.filter(pc.field("outcome").isin(outcomes) & (pc.field("score") >= threshold)).to_pylist()
    found = [FalsePositive(row["image_id"], (row["x0"], row["y0"], row["x1"], row["y1"]), row["score"]) for row in rows]
    return sorted(found, key=lambda each: (-each.score, each.image_id, each.box_px))


def not_in(after: Sequence[FalsePositive], before: Sequence[FalsePositive]) -> list[FalsePositive]:
    """Return the false positives that overlap none of those of another system in the same image."""
    earlier: dict[str, list[Box]] = {}
    for each in before:
        earlier.setdefault(each.image_id, []).append(each.box_px)
    return [each for each in after if not any(_overlap(each.box_px, box) for box in earlier.get(each.image_id, []))]


def _overlap(first: Box, second: Box) -> bool:
    return first[0] < second[2] and second[0] < first[2] and first[1] < second[3] and second[1] < first[3]
