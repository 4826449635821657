"""Export the images that a radiologist should judge next; `review_import` takes the verdicts in."""

import json
import logging
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa

from pipelines.tools.review_import import COCO
from system.archive import Archive
from system.errors import UserError
from system.exchange import CANDIDATE, MASS, ImageCandidates, SourceCandidate, as_coco
from system.figures.overlays import png_of, with_candidates
from system.files.atomic import write_bytes, write_text
from system.files.csv_out import write_csv
from system.imaging import encode_png
from system.mining.columns_in import labels_of
from system.mining.rules import disputed, quadrants, sure_score
from system.review import (
    SHEET,
    QueueConfig,
    acquire,
)
from system.rounds import RoundsConfig
from system.run.folder import RunFolder
from system.run.predictions import Prediction, read_maps, read_predictions
from system.run.results import InferResult
from system.run.stage import Stage

log = logging.getLogger(__name__)

QUEUE, PICTURES, OVERLAYS = "queue.csv", "pictures", "overlays"


@dataclass(frozen=True)
class Queued:
    """One image of the queue."""

    place: int  # from 1
    prediction: Prediction
    p_mass: float  # by the report, 0 to 1; NaN without one
    pixel_sha: str
    why: str  # review.Why

    @property
    def picture(self) -> str:
        """The name of its picture."""
        return f"{PICTURES}/{self.place:04d}.png"


def export(run: Path, number: int, out: Path, *, config: QueueConfig, archive_uri: str = "") -> dict[str, int]:
    """Write queue.csv, candidates.coco.json, pictures/ and overlays/ for a round's weak images; count them by reason.

    archive_uri: where the run's archive lies now; "" = where it lay when the run was started

    Images that were judged already are left out. Pictures, boxes and overlays are canonical views: chest wall left.
    Raises NotFinished when the round was not inferred, UserError when `out` holds a queue.
    """
    if (out / QUEUE).exists():
        raise UserError(f"--out {out.name} holds a queue, perhaps filled in: choose another folder")
    folder = RunFolder(run.resolve())
    settings, archive = folder.config(), folder.archive(uri=archive_uri)
    stage = folder.round(number).predictions
    chosen = _choose(_open_images(stage, archive), archive, rounds=settings.rounds, config=config)
    _draw(chosen, stage, out=out, archive=archive)
    shape = (archive.imaging.height_px, archive.imaging.width_px)
    about = "mammoloop, canonical views: chest wall left; no diagnosis"
    shown = [_image_candidates(queued, shape=shape) for queued in chosen]
    coco = as_coco(shown, description=about, category=CANDIDATE, others=[MASS])
    write_text(out / COCO, json.dumps(coco))
    write_csv(out / QUEUE, SHEET, [_line(queued) for queued in chosen])
    return dict(Counter(queued.why for queued in chosen))


def _open_images(stage: Stage[InferResult], archive: Archive) -> list[Prediction]:
    """Return the round's readable images that nobody has judged, by key."""
    judged = set(Archive.open(archive.uri).table("verdicts", columns=["image_id"])["image_id"].to_pylist())
    found = [
        prediction
        for prediction in read_predictions(stage)
        if not prediction.error and prediction.image_id not in judged
    ]
    if not found:
        raise UserError(f"{stage.name} has no image left to be judged")
    return sorted(found, key=lambda prediction: prediction.image_key)


def _choose(
    images: Sequence[Prediction], archive: Archive, *, rounds: RoundsConfig, config: QueueConfig
) -> list[Queued]:
    breasts = pa.table({"study_id": [image.study_id for image in images], "side": [image.side for image in images]})
    p_mass = labels_of(breasts, archive.table("labels"))
    scores, entropies = (
        np.array([getattr(image, name) for image in images], np.float32) for name in ("score", "entropy")
    )
    has_mask = np.array([image.has_mask for image in images], bool)
    quadrant = quadrants(p_mass, has_mask, p0=rounds.p0.values(rounds.train.num_epochs)[-1])
    marked = disputed(
        scores, quadrant, limit=sure_score(scores, quadrant), judged=np.zeros(len(images), bool)
    )  # judged images are not among these
    places, reasons = acquire(p_mass, scores, entropies, marked, p0=rounds.p0.start, config=config)
    table = archive.table("images", columns=["image_key", "pixel_sha"])
    shas = dict(zip(table["image_key"].to_pylist(), table["pixel_sha"].to_pylist(), strict=True))
    return [
        Queued(number, images[place], float(p_mass[place]), shas[images[place].image_key], str(why))
        for number, (place, why) in enumerate(zip(places, reasons, strict=True), start=1)
    ]


def _draw(chosen: Sequence[Queued], stage: Stage[InferResult], *, out: Path, archive: Archive) -> None:
    """Write each chosen view as it is, and once more with the network's map and candidates."""
    for folder in (PICTURES, OVERLAYS):
        (out / folder).mkdir(parents=True, exist_ok=True)
    maps = read_maps(stage, [queued.prediction.image_key for queued in chosen])
    no_map = np.zeros((1, 1), np.float32)  # of images without a mask no map is kept
    for queued in chosen:
        view, coarse = archive.pixels(queued.pixel_sha), maps.get(queued.prediction.image_key, no_map)
        write_bytes(out / queued.picture, encode_png((view >> 8).astype(np.uint8)))
        picture = with_candidates(view, coarse, queued.prediction.candidates, mirrored=False)
        write_bytes(out / OVERLAYS / f"{queued.place:04d}.png", png_of(picture))


def _image_candidates(queued: Queued, *, shape: tuple[int, int]) -> ImageCandidates:
    found = tuple(
        SourceCandidate(candidate.box_px, candidate.centroid_px, candidate.area_px, candidate.score)
        for candidate in queued.prediction.candidates
    )
    return ImageCandidates(queued.place, queued.picture, *shape, found)


def _line(queued: Queued) -> list[str | float]:
    seen = queued.prediction
    p_mass = "" if np.isnan(queued.p_mass) else round(queued.p_mass, 4)
    known = [seen.image_id, queued.picture, seen.study_id, seen.side, seen.view, queued.why]
    return [*known, p_mass, round(seen.score, 4), "", "", "", "", ""]
