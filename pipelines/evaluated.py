"""What a finished evaluation has kept, read back: for comparing systems, and for a look at parts of the images."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from system.metrics import OUTCOMES, FrocConfig, PatientCounts
from system.metrics.bootstrap import count_by_patient
from system.metrics.matching import Detections, Match
from system.metrics.subgroups import GroupRow, by_image, by_lesion, size_of
from system.runs import Stage

CANDIDATES = pa.schema(
    [
        ("image_id", pa.string()),
        ("score", pa.float64()),  # highest probability inside, 0 to 1
        *((name, pa.int32()) for name in ("x0", "y0", "x1", "y1")),  # canonical px, half open
        ("area_px", pa.int64()),
        ("outcome", pa.string()),  # TP, FP, duplicate
        ("lesion", pa.int32()),  # number within the image, -1 for none
        ("iou", pa.float64()),  # with that lesion
    ]
)
IMAGES = pa.schema(
    [
        ("image_id", pa.string()),
        ("patient_id", pa.string()),
        *((name, pa.string()) for name in ("view", "density", "source")),  # as in the archive
        ("num_lesions", pa.int32()),
        ("dice", pa.float64()),  # of the map at the mask threshold with the truth; NaN without a lesion
        ("p_image", pa.float64()),  # classification branch, 0 to 1; NaN where it was never trained
        ("peak", pa.float64()),  # highest probability of the map, 0 to 1
        ("error", pa.bool_()),  # could not be read
    ]
)
LESIONS = pa.schema(
    [
        ("image_id", pa.string()),
        ("lesion", pa.int32()),  # number within the image, as candidates name it
        ("area_px", pa.int64()),  # canonical
        ("diameter_mm", pa.float64()),  # of the circle of equal area; 0 where the spacing is not known
    ]
)


@dataclass(frozen=True)
class Evaluated:
    """What a finished evaluation has kept."""

    images: pa.Table  # IMAGES
    lesions: pa.Table  # LESIONS, in the order of detections.lesion_image
    detections: Detections  # without the pairs: the matching is done
    matched: Match  # lesion: place among all lesions


def read_back(stage: Stage) -> Evaluated:
    """Return what a finished evaluation has kept."""
    images, candidates, lesions = (read_table(stage.path(name)) for name in ("images.parquet", "candidates.parquet", "lesions.parquet"))
    place = {image_id: index for index, image_id in enumerate(images.column("image_id").to_pylist())}
    codes = {name: int(outcome) for outcome, name in OUTCOMES.items()}
    per_image = images.column("num_lesions").to_numpy().astype(np.int64)
    candidate_image = np.array([place[image_id] for image_id in candidates.column("image_id").to_pylist()], dtype=np.int64)
    within = candidates.column("lesion").to_numpy()
    nothing = np.empty(0, dtype=np.int64)
    detections = Detections(
        num_images=len(images),
        score=candidates.column("score").to_numpy(),
        candidate_image=candidate_image,
        lesion_image=np.repeat(np.arange(len(images)), per_image),
        pair_candidate=nothing,
        pair_lesion=nothing,
        pair_iou=np.empty(0),
    )
    outcome = np.array([codes[name] for name in candidates.column("outcome").to_pylist()], dtype=np.uint8)
    lesion = np.where(within < 0, -1, (np.cumsum(per_image) - per_image)[candidate_image] + within)
    return Evaluated(images, lesions, detections, Match(outcome, lesion, candidates.column("iou").to_numpy()))


def patient_counts(stage: Stage, *, config: FrocConfig) -> PatientCounts:
    """Return what a finished evaluation counted per patient (score sweep), for comparing systems on the same patients."""
    kept = read_back(stage)
    patients = kept.images.column("patient_id").to_pylist()
    return count_by_patient(kept.detections, kept.matched, image_patient=patients, config=config)


def by_group(stage: Stage, *, config: FrocConfig) -> list[GroupRow]:
    """Return a finished evaluation by view, breast density, source and lesion size."""
    kept = read_back(stage)
    patients = kept.images.column("patient_id").to_pylist()
    rows = []
    for kind in ("view", "density", "source"):
        names = [name or "not known" for name in kept.images.column(kind).to_pylist()]
        rows += by_image(kind, names, kept.detections, kept.matched, image_patient=patients, config=config)
    sizes = [size_of(diameter) for diameter in kept.lesions.column("diameter_mm").to_pylist()]
    return [*rows, *by_lesion("lesion size", sizes, kept.detections, kept.matched, image_patient=patients, config=config)]


def read_table(path: Path, *, columns: list[str] | None = None) -> pa.Table:
    """Return one Parquet file as it is: a run's folder may be called a=b, which is no partition."""
    return pq.ParquetFile(path).read(columns=columns)
