"""From the maps of a split to candidates, lesions, the outcome of each candidate, and the FROC in both modes.

An image that could not be read stays in the denominators, as one without candidates.
"""

import logging
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pyarrow as pa
import torch
from numpy.typing import NDArray

from system.archive import Archive
from system.errors import UserError
from system.evaluation.maps_of_run import HeldOutImage, held_out_images, peaks_of
from system.files.atomic import write_text
from system.files.json_out import as_json
from system.files.parquet import write_table
from system.imaging import to_network
from system.metrics import OUTCOMES, FrocConfig, froc_curve, match, rules
from system.metrics.bootstrap import PatientCounts, count_by_patient
from system.metrics.classification import ImageMeasures, corloc, dice, image_level
from system.metrics.examination import Examination, examine
from system.metrics.matching import Detections, Match, Outcome, gather
from system.metrics.rethreshold import cut_curve, cut_levels, cuts_by_patient
from system.metrics.subgroups import diameter_mm
from system.metrics.summary import points, summarise
from system.records import Split
from system.refine import RefineConfig, refine_masks
from system.run.results import EvaluationCounts, FrocReport, FrocResult, InferResult
from system.run.stage import Stage
from system.schemas import CANDIDATES, CUTS, IMAGES, LESIONS

log = logging.getLogger(__name__)

SCORES = ("peak", "p_image")  # of a whole image


@dataclass(frozen=True, slots=True)
class MaskRule:
    """How the maps of a system become masks M_b, as in its mining."""

    threshold: float  # the probability that counts as even odds, 0 to 1
    refine: RefineConfig

    def mask_of(self, image: HeldOutImage, *, archive: Archive) -> NDArray[np.bool_]:
        """Return M_b of one image (Tang et al. 2021, sections 3.3 and 4.2): [H, W]; empty where it could not be read.

        archive: where its pixels are
        """
        if image.error or image.peak == 0:
            return np.zeros(image.probability.shape, dtype=bool)
        gray = torch.from_numpy(to_network(archive.pixels(image.pixel_sha)) * np.float32(255))
        probability = torch.from_numpy(image.probability.copy())
        return refine_masks(probability[None], gray[None], mask_threshold=self.threshold, config=self.refine).mask[0]


@dataclass(frozen=True, slots=True)
class _Image:
    """The facts of an image that are kept when its pixels are dropped."""

    image_id: str
    patient_id: str
    view: str
    density: str
    source: str
    num_lesions: int
    dice: float
    p_image: float
    peak: float
    error: bool


@dataclass
class Examined:
    """The images of a split, compared with their truth."""

    levels: NDArray[np.float64]  # [T] falling: cuts of the second mode
    images: list[_Image] = field(default_factory=list)
    spacing_mm: list[float] = field(default_factory=list)  # of a canonical pixel, 0 where it is not known
    examinations: list[Examination] = field(default_factory=list)

    @property
    def patients(self) -> list[str]:
        """The patient of each image."""
        return [image.patient_id for image in self.images]

    def cuts_by_patient(self) -> PatientCounts:
        """Return the counts of the second mode."""
        return cuts_by_patient(
            [image.cuts for image in self.examinations],
            image_patient=self.patients,
            image_lesions=[image.num_lesions for image in self.examinations],
        )

    def add(self, image: HeldOutImage, *, masks: MaskRule, archive: Archive, config: FrocConfig) -> None:
        """Examine one image and keep the result."""
        mask = masks.mask_of(image, archive=archive) if config.regions == "mask" else None
        found = examine(image.probability, image.truth, levels=self.levels, config=config, mask=mask)
        self.images.append(
            _Image(
                **{name: getattr(image, name) for name in ("image_id", "patient_id", "view", "density", "source")},
                num_lesions=found.num_lesions,
                dice=dice(image.probability >= masks.threshold, image.truth),
                p_image=image.p_image,
                peak=image.peak,
                error=image.error,
            )
        )
        self.spacing_mm.append(image.spacing_mm)
        self.examinations.append(found)


def examine_run(
    predictions: Stage[InferResult],
    folder: Path,
    *,
    archive: Archive,
    config: FrocConfig,
    split: Split,
    masks: MaskRule,
) -> tuple[FrocResult, list[Path]]:
    """Write froc.json and the tables of candidates, images, lesions and cuts; return the result and the files.

    predictions: finished, every map kept; images of other splits are left out
    archive: pinned to the run's versions
    masks: Dice is of the map at or above their threshold; M_b gives the candidates where config.regions is "mask"
    """
    examined = _examine_all(predictions, archive=archive, config=config, split=split, masks=masks)
    detections = gather([(image.scores, image.iou) for image in examined.examinations])
    matched = match(detections, iou=config.iou)
    report = _report(examined, detections, matched, config=config, split=split, mask_threshold=masks.threshold)
    names = ("froc.json", "candidates.parquet", "images.parquet", "lesions.parquet", "cuts.parquet")
    files = [folder / name for name in names]
    write_text(files[0], as_json(report))
    write_table(_candidate_table(examined, detections, matched), files[1])
    write_table(_image_table(examined.images), files[2])
    write_table(_lesion_table(examined), files[3])
    write_table(_cut_table(examined), files[4])
    return report.result, files


def _examine_all(
    predictions: Stage[InferResult], *, archive: Archive, config: FrocConfig, split: Split, masks: MaskRule
) -> Examined:
    """Compare every predicted map with its truth, a few in memory at a time."""
    examined = Examined(cut_levels(peaks_of(predictions, archive=archive, split=split), config=config))
    for image in held_out_images(predictions, archive=archive, split=split):
        examined.add(image, masks=masks, archive=archive, config=config)
    repeated = len(examined.images) - len({image.image_id for image in examined.images})
    if repeated:
        raise UserError(
            f"{repeated} of {len(examined.images)} predictions are of an image that has one already: "
            "infer each image once"
        )
    return examined


def _report(
    examined: Examined,
    detections: Detections,
    matched: Match,
    *,
    config: FrocConfig,
    split: Split,
    mask_threshold: float,
) -> FrocReport:
    cuts = [image.cuts for image in examined.examinations]
    sweep = froc_curve(detections, matched, config=config)
    num_lesions = sum(image.num_lesions for image in examined.examinations)
    recut = cut_curve(cuts, levels=examined.levels, num_lesions=num_lesions)
    by_patient = count_by_patient(detections, matched, image_patient=examined.patients, config=config)
    result = FrocResult(
        split=str(split),
        rules=config,
        mask_threshold=mask_threshold,
        sweep=summarise(sweep, by_patient, config=config),
        rethreshold=summarise(recut, examined.cuts_by_patient(), config=config),
        counts=_counts(examined, matched),
        corloc=corloc(detections),
        dice=_mean([image.dice for image in examined.images]),
        image_level={name: _image_level(examined, name, config=config) for name in SCORES},
    )
    if result.counts.num_errors:
        log.warning(
            "%d of %d images could not be read and count as without candidates",
            result.counts.num_errors,
            result.counts.num_images,
        )
    return FrocReport(tuple(rules(config)), result, points(sweep), points(recut))


def _counts(examined: Examined, matched: Match) -> EvaluationCounts:
    def count_of(outcome: Outcome) -> int:
        return int(np.count_nonzero(matched.outcome == outcome))

    return EvaluationCounts(
        num_images=len(examined.images),
        num_patients=len(set(examined.patients)),
        num_lesions=sum(image.num_lesions for image in examined.examinations),
        num_specks=sum(image.num_specks for image in examined.examinations),
        num_errors=sum(image.error for image in examined.images),
        num_tp=count_of(Outcome.TRUE_POSITIVE),
        num_fp=count_of(Outcome.FALSE_POSITIVE),
        num_duplicate=count_of(Outcome.DUPLICATE),
    )


def _image_level(examined: Examined, name: str, *, config: FrocConfig) -> ImageMeasures:
    truth = np.array([image.num_lesions > 0 for image in examined.examinations], dtype=bool)
    score = np.array([getattr(image, name) for image in examined.images])
    patient = np.array(examined.patients)
    return image_level(truth, score, patient=patient, num_resamples=config.bootstrap, seed=config.seed)


def _mean(values: Sequence[float]) -> float:
    """Return the mean without the NaN among them; NaN where nothing is left."""
    known = [value for value in values if not np.isnan(value)]
    return float(np.mean(known)) if known else float("nan")


def _image_table(images: Sequence[_Image]) -> pa.Table:
    columns = {name: [getattr(image, name) for image in images] for name in IMAGES.names}
    return pa.table(columns, schema=IMAGES)


def _lesion_table(examined: Examined) -> pa.Table:
    """Return one row of LESIONS per lesion, image by image."""
    per_image = [image.num_lesions for image in examined.examinations]
    area = np.concatenate([np.empty(0, np.int64), *(image.lesion_area_px for image in examined.examinations)])
    columns = {
        "image_id": [
            image.image_id for image, count in zip(examined.images, per_image, strict=True) for _ in range(count)
        ],
        "lesion": [number for count in per_image for number in range(count)],
        "area_px": area,
        "diameter_mm": diameter_mm(area, np.repeat(np.array(examined.spacing_mm), per_image)),
    }
    return pa.table(columns, schema=LESIONS)


def _cut_table(examined: Examined) -> pa.Table:
    """Return one row of CUTS for each level and patient where something changes."""
    counts = examined.cuts_by_patient()
    found, false = counts.found.toarray(), counts.false.toarray()
    level, patient = np.nonzero((found != 0) | (false != 0))
    columns = {
        "patient_id": [counts.patients[place] for place in patient],
        "level": examined.levels[level],
        "found": found[level, patient].astype(np.int64),
        "false": false[level, patient].astype(np.int64),
    }
    return pa.table(columns, schema=CUTS)


def _candidate_table(examined: Examined, detections: Detections, matched: Match) -> pa.Table:
    """Return one row of CANDIDATES per candidate, image by image."""
    boxes = np.array([box for image in examined.examinations for box in image.boxes_px], dtype=np.int32).reshape(-1, 4)
    first_lesion = np.searchsorted(detections.lesion_image, detections.candidate_image)

    def within_image(lesion: NDArray[np.int64]) -> NDArray[np.int32]:
        return np.where(lesion < 0, -1, lesion - first_lesion).astype(np.int32)

    columns = {
        "image_id": [examined.images[index].image_id for index in detections.candidate_image],
        "score": detections.score,
        **{name: boxes[:, column] for column, name in enumerate(("x0", "y0", "x1", "y1"))},
        "area_px": np.concatenate([np.empty(0, dtype=np.int64), *(image.area_px for image in examined.examinations)]),
        "outcome": [OUTCOMES[Outcome(value)] for value in matched.outcome],
        "lesion": within_image(matched.lesion),
        "nearest_lesion": within_image(matched.nearest),
        "iou": matched.iou,
    }
    return pa.table(columns, schema=CANDIDATES)
