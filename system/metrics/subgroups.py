"""The evaluation of a part of the images or of the lesions."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from system.metrics.bootstrap import Interval, PatientCounts, count_by_patient, intervals
from system.metrics.config import FrocConfig
from system.metrics.froc import froc_curve, mean_sensitivity, sensitivity_at
from system.metrics.matching import Detections, Match, Outcome

SIZES_MM = (10.0, 20.0)  # bounds of the lesions' diameters: T1b and T1c of the TNM staging end there


@dataclass(frozen=True, slots=True)
class GroupRow:
    """The measures of a system in one group."""

    kind: str  # view, density, lesion size, source
    name: str
    num_images: int
    num_lesions: int
    sensitivity: dict[str, float]  # false positives per image as text -> 0 to 1
    mean: float
    interval: Interval  # of the mean


@dataclass(frozen=True, slots=True)
class Group:
    """A part of the images, or of the lesions, of an evaluation."""

    kind: str  # view, density, lesion size, source
    name: str
    detections: Detections
    matched: Match
    image_patient: tuple[str, ...]  # [detections.num_images]

    def counts(self, *, config: FrocConfig) -> PatientCounts:
        """Return what each of its patients adds to the curve."""
        return count_by_patient(self.detections, self.matched, image_patient=self.image_patient, config=config)

    def row(self, *, config: FrocConfig) -> GroupRow:
        """Return its measures."""
        curve = froc_curve(self.detections, self.matched, config=config)
        _, interval = intervals(self.counts(config=config), config=config, rng=np.random.default_rng(config.seed))
        return GroupRow(
            kind=self.kind,
            name=self.name,
            num_images=self.detections.num_images,
            num_lesions=len(self.detections.lesion_image),
            sensitivity={f"{x:g}": sensitivity_at(curve, fppi=x) for x in config.fppi},
            mean=mean_sensitivity(curve, fppi=config.fppi),
            interval=interval,
        )


def by_image(
    kind: str, groups: Sequence[str], detections: Detections, matched: Match, *, image_patient: Sequence[str]
) -> Iterator[Group]:
    """Give each group of images, its false positives counted over its own images.

    groups: [num_images] the name of each image's group
    """
    named, patients = np.asarray(groups, dtype=str), np.asarray(image_patient, dtype=str)
    for name in np.unique(named).tolist():
        kept = named == name
        part, outcome = of_images(detections, matched, kept=kept)
        yield Group(kind, name, part, outcome, tuple(patients[kept].tolist()))


def by_lesion(
    kind: str, groups: Sequence[str], detections: Detections, matched: Match, *, image_patient: Sequence[str]
) -> Iterator[Group]:
    """Give each group of lesions, false positives counted over all images.

    A hit on a lesion of another group counts neither way.

    groups: [num_lesions] the name of each lesion's group, in the order of detections.lesion_image and matched.lesion
    """
    named = np.asarray(groups, dtype=str)
    for name in np.unique(named).tolist():
        outside = (matched.lesion >= 0) & (named[matched.lesion] != name)
        outcome = np.where(outside, np.uint8(Outcome.PASSED_OVER), matched.outcome)
        part = replace(detections, lesion_image=detections.lesion_image[named == name])
        yield Group(kind, name, part, replace(matched, outcome=outcome), tuple(image_patient))


def size_of(diameter_mm: float) -> str:
    """Return the group of a lesion's diameter."""
    small, large = SIZES_MM
    if not diameter_mm > 0:
        return "size not known"
    if diameter_mm < small:
        return f"under {small:g} mm"
    return f"{small:g} to {large:g} mm" if diameter_mm < large else f"from {large:g} mm"


def diameter_mm(area_px: NDArray[np.number], spacing_mm: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the diameter of the circle of equal area: [N], 0 where the spacing is not known.

    area_px: [N]
    spacing_mm: [N] of a pixel
    """
    return 2 * np.sqrt(area_px / np.pi) * spacing_mm


def of_images(detections: Detections, matched: Match, *, kept: NDArray[np.bool_]) -> tuple[Detections, Match]:
    """Return what lies in some of the images, without the pairs: the matching, which needs them, is done.

    kept: [num_images]
    """
    place = np.cumsum(kept) - 1
    candidates, lesions = kept[detections.candidate_image], kept[detections.lesion_image]
    nothing = np.empty(0, dtype=np.int64)
    part = Detections(
        num_images=int(kept.sum()),
        score=detections.score[candidates],
        candidate_image=place[detections.candidate_image[candidates]],
        lesion_image=place[detections.lesion_image[lesions]],
        pair_candidate=nothing,
        pair_lesion=nothing,
        pair_iou=np.empty(0),
    )
    outcome = Match(
        matched.outcome[candidates], matched.lesion[candidates], matched.nearest[candidates], matched.iou[candidates]
    )
    return part, outcome
