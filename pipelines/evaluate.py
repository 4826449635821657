"""Evaluate a model's maps against the truth: FROC in both modes, with intervals, and each candidate's fate.

An image that could not be read stays in the denominators, as one without candidates.
"""

import json
import logging
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from pipelines.evaluated import CANDIDATES, IMAGES, LESIONS, read_table
from system.archive import Archive
from system.imaging import decode_png
from system.metrics import OUTCOMES, FrocConfig, froc_curve, match, rules
from system.metrics.bootstrap import count_by_patient
from system.metrics.classification import corloc, dice, image_level
from system.metrics.examination import Examination, examine
from system.metrics.matching import Detections, Match, Outcome, gather, upsample
from system.metrics.rethreshold import cut_curve, cut_levels, cuts_by_patient
from system.metrics.subgroups import diameter_mm
from system.metrics.summary import points, summarise
from system.records import Split
from system.runs import Manifest, Stage, write_atomically

log = logging.getLogger(__name__)

_FULL_SCALE = {np.dtype(np.uint8): 255, np.dtype(np.uint16): 65535}
_COLUMNS = ["image_id", "peak", "p_image", "map_png", "error"]
_ROWS_AT_ONCE = 64  # maps held in memory


@dataclass
class _Seen:
    """The images seen so far."""

    levels: np.ndarray  # [T] float, falling: cuts of the second mode
    rows: list[dict[str, Any]] = field(default_factory=list)  # of IMAGES
    spacing_mm: list[float] = field(default_factory=list)  # of a canonical pixel, 0 where it is not known
    examinations: list[Examination] = field(default_factory=list)

    @property
    def patients(self) -> list[str]:
        return [row["patient_id"] for row in self.rows]


def run(predictions: Stage, *, archive: Archive, config: FrocConfig, stage: Stage, split: Split, mask_threshold: float = 0.5) -> Manifest:
    """Write froc.json, candidates.parquet, lesions.parquet and images.parquet; return the manifest with the summary as metrics.

    predictions: finished, every map kept; rows of other splits are passed over;  archive: pinned to the run's versions
    mask_threshold: of the masks whose Dice is taken
    metrics: sensitivity {"0.1": …}, mean, interval [low, high], curve_ends_fppi, the same under "rethreshold", counts, image_level
    """

    def evaluate(attempt: Path) -> tuple[list[Path], dict[str, Any]]:
        seen = _examine_all(predictions, archive=archive, config=config, split=split, mask_threshold=mask_threshold)
        detections = gather([(image.scores, image.iou) for image in seen.examinations])
        matched = match(detections, iou=config.iou)
        report, metrics = _results(seen, detections, matched, config=config)
        written = [attempt / name for name in ("froc.json", "candidates.parquet", "images.parquet", "lesions.parquet")]
        write_atomically(written[0], json.dumps(report, indent=1))
        pq.write_table(_candidate_table(seen, detections, matched), written[1])
        pq.write_table(pa.Table.from_pylist(seen.rows, schema=IMAGES), written[2])
        pq.write_table(_lesion_table(seen), written[3])
        log.info("%d images, %d lesions: mean sensitivity %.3f", metrics["num_images"], metrics["num_lesions"], metrics["mean"])
        facts = {"rows": len(seen.rows), "config": config.model_dump(mode="json"), "metrics": metrics}
        return written, facts | {"parents": [predictions.name], "archive_versions": archive.versions()}

    return stage.once(evaluate)


def _examine_all(predictions: Stage, *, archive: Archive, config: FrocConfig, split: Split, mask_threshold: float) -> _Seen:
    """Hold every predicted map against its truth, a few in memory at a time."""
    seen = _Seen(_levels(predictions, archive=archive, config=config, split=split))
    for row, image, probability, truth in _known_maps(predictions, archive=archive, split=split):
        examination = examine(probability, truth, levels=seen.levels, config=config)
        facts = {name: _score(row, name) for name in ("p_image", "peak")} | {"error": row["error"] is not None}
        facts |= {name: image[name] for name in ("image_id", "patient_id", "view", "density", "source")}
        drawn = {"num_lesions": examination.num_lesions, "dice": dice(probability >= mask_threshold, truth)}
        seen.rows.append(facts | drawn)
        seen.spacing_mm.append(image["spacing_mm"] or 0.0)
        seen.examinations.append(examination)
    repeated = len(seen.rows) - len({row["image_id"] for row in seen.rows})
    if repeated:
        raise ValueError(f"{repeated} of {len(seen.rows)} predictions name an image that has one already: infer each image once")
    return seen


def probability_maps(predictions: Stage, *, archive: Archive, split: Split) -> Iterator[tuple[str, np.ndarray, np.ndarray]]:
    """Yield image_id, probability [H, W] float32 0 to 1, and truth [H, W] bool of a split's images."""
    for row, _, probability, truth in _known_maps(predictions, archive=archive, split=split):
        yield row["image_id"], probability, truth


def _known_maps(
    predictions: Stage, *, archive: Archive, split: Split
) -> Iterator[tuple[dict[str, Any], dict[str, Any], np.ndarray, np.ndarray]]:
    """Yield the prediction row, the archive's row, probability and truth of a split's images."""
    columns = ["image_id", "patient_id", "view", "density", "source", "spacing_mm", "rows", "cols", "split"]
    images = {row["image_id"]: row for row in archive.table("images", columns=columns).to_pylist()}
    masks = {row["image_id"]: row["mask_sha"] for row in archive.table("masks", columns=["image_id", "mask_sha"]).to_pylist()}
    for row in _prediction_rows(predictions):
        image = images.get(row["image_id"])
        if image is None:
            raise ValueError("a predicted image is not in the archive's pinned version: infer and evaluate under the same versions")
        if image["split"] != split:
            continue
        shape = (image["rows"], image["cols"])
        truth = archive.pixels(masks[row["image_id"]]) > 0 if row["image_id"] in masks else np.zeros(shape, dtype=bool)
        yield row, image, _probability(row, shape=shape), truth


def _score(row: dict[str, Any], name: str) -> float:
    """Return a score of a predicted image: 0 for one that could not be read, NaN where the branch that gives it was never trained."""
    if row["error"] is not None:
        return 0.0
    return float("nan") if row[name] is None else row[name]


def _prediction_rows(predictions: Stage) -> Iterator[dict[str, Any]]:
    for path in _parquet_files(predictions):
        with pq.ParquetFile(path) as file:
            for batch in file.iter_batches(batch_size=_ROWS_AT_ONCE, columns=_COLUMNS):
                yield from batch.to_pylist()


def _parquet_files(stage: Stage) -> list[Path]:
    return [path for path in stage.paths() if path.suffix == ".parquet"]


def _levels(predictions: Stage, *, archive: Archive, config: FrocConfig, split: Split) -> np.ndarray:
    """Return the cuts of the second mode, from the peaks of the split's maps."""
    images = archive.table("images", columns=["image_id", "split"])
    members = images.filter(pc.field("split") == str(split))["image_id"].combine_chunks()
    peaks = pa.concat_tables([read_table(path, columns=["image_id", "peak"]) for path in _parquet_files(predictions)])
    return cut_levels(peaks.filter(pc.field("image_id").isin(members))["peak"].drop_null().to_numpy(), config=config)


def _probability(row: dict[str, Any], *, shape: tuple[int, int]) -> np.ndarray:
    """Return the map in the canonical view: [H, W] float32, 0 to 1; zeros for an image that could not be read."""
    if row["error"] is not None:
        return np.zeros(shape, dtype=np.float32)
    if row["map_png"] is None:
        raise ValueError("a prediction carries no map: infer what is to be evaluated with keep_maps='all'")
    coarse = decode_png(row["map_png"])
    return upsample(coarse / np.float32(_FULL_SCALE[coarse.dtype]), shape=shape)


def _results(seen: _Seen, detections: Detections, matched: Match, *, config: FrocConfig) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return what goes into froc.json, and the manifest's metrics."""
    cuts = [image.cuts for image in seen.examinations]
    lesions = [image.num_lesions for image in seen.examinations]
    sweep = froc_curve(detections, matched, config=config)
    recut = cut_curve(cuts, levels=seen.levels, num_lesions=sum(lesions))
    swept = summarise(sweep, count_by_patient(detections, matched, image_patient=seen.patients, config=config), config=config)
    cut = summarise(recut, cuts_by_patient(cuts, image_patient=seen.patients, image_lesions=lesions), config=config)
    facts = _facts(seen, detections, matched, config=config)
    if facts["num_errors"]:
        log.warning("%d of %d images could not be read and count as without candidates", facts["num_errors"], facts["num_images"])
    report = {"rules": rules(config), "config": config.model_dump(mode="json"), "counts": facts}
    report |= {"sweep": swept | {"curve": points(sweep)}, "rethreshold": cut | {"curve": points(recut)}}
    return report, swept | facts | {"rethreshold": cut}


def _facts(seen: _Seen, detections: Detections, matched: Match, *, config: FrocConfig) -> dict[str, Any]:
    """Return the counts, and how well whole images are told apart."""
    truth = np.array([image.num_lesions > 0 for image in seen.examinations], dtype=bool)
    patient = np.array(seen.patients)

    def measured(name: str) -> dict[str, Any]:
        score = np.array([row[name] for row in seen.rows])
        return image_level(truth, score, patient=patient, num_resamples=config.bootstrap, seed=config.seed)

    outcomes = {f"num_{name.lower()}": int(np.count_nonzero(matched.outcome == outcome)) for outcome, name in OUTCOMES.items()}
    return outcomes | {
        "num_images": len(seen.rows),
        "num_patients": len(set(seen.patients)),
        "num_lesions": sum(image.num_lesions for image in seen.examinations),
        "num_specks": sum(image.num_specks for image in seen.examinations),
        "num_errors": sum(row["error"] for row in seen.rows),
        "corloc": corloc(detections),
        "dice": _mean([row["dice"] for row in seen.rows]),
        "image_level": {name: measured(name) for name in ("peak", "p_image")},
    }


def _mean(values: list[float]) -> float:
    """Return the mean of those that are numbers, NaN where none is."""
    known = [value for value in values if not np.isnan(value)]
    return float(np.mean(known)) if known else float("nan")


def _lesion_table(seen: _Seen) -> pa.Table:
    """Return one row of LESIONS per lesion, image by image."""
    per_image = [image.num_lesions for image in seen.examinations]
    area = np.concatenate([np.empty(0, np.int64), *(image.lesion_area_px for image in seen.examinations)])
    columns = {
        "image_id": [row["image_id"] for row, count in zip(seen.rows, per_image, strict=True) for _ in range(count)],
        "lesion": [number for count in per_image for number in range(count)],
        "area_px": area,
        "diameter_mm": diameter_mm(area, np.repeat(np.array(seen.spacing_mm), per_image)),
    }
    return pa.table(columns, schema=LESIONS)


def _candidate_table(seen: _Seen, detections: Detections, matched: Match) -> pa.Table:
    """Return one row of CANDIDATES per candidate, image by image."""
    boxes = np.array([box for image in seen.examinations for box in image.boxes_px], dtype=np.int32).reshape(-1, 4)
    first_lesion = np.searchsorted(detections.lesion_image, detections.candidate_image)
    columns = {
        "image_id": [seen.rows[index]["image_id"] for index in detections.candidate_image],
        "score": detections.score,
        **{name: boxes[:, column] for column, name in enumerate(("x0", "y0", "x1", "y1"))},
        "area_px": np.concatenate([np.empty(0, dtype=np.int64), *(image.area_px for image in seen.examinations)]),
        "outcome": [OUTCOMES[Outcome(value)] for value in matched.outcome],
        "lesion": np.where(matched.lesion < 0, -1, matched.lesion - first_lesion).astype(np.int32),
        "iou": matched.iou,
    }
    return pa.table(columns, schema=CANDIDATES)
