"""Export the images that a radiologist should judge next; `review_import` takes the verdicts in."""

import logging
import shutil
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pyarrow as pa

from pipelines.tools.review_out import (
    QUEUE,
    SOURCE_PICTURES,
    Pictures,
    Queue,
    Queued,
    Tool,
    sentences_of,
    studies_of,
    write_queue,
)
from pipelines.tools.review_source import SourceFolder, draw_from_source
from system.archive import Archive
from system.errors import UserError
from system.imaging import DisplayConfig
from system.mining.columns_in import labels_of
from system.mining.rules import disputed, quadrants, sure_score
from system.review import (
    QueueConfig,
    acquire,
)
from system.rounds import RoundsConfig
from system.run.folder import RunFolder
from system.run.predictions import Prediction, read_predictions
from system.run.results import InferResult
from system.run.stage import Stage

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Shown:
    """How a queue is shown."""

    source: SourceFolder | None = None  # whose files are drawn; None: the pictures are the archive's views
    display: DisplayConfig = field(default_factory=DisplayConfig)
    tools: tuple[Tool, ...] = ()  # whose own files are written, beside candidates.coco.json


_AS_KEPT = Shown()


def export(
    run: Path,
    number: int,
    out: Path,
    *,
    config: QueueConfig,
    archive_uri: str = "",
    shown: Shown = _AS_KEPT,
) -> dict[str, int]:
    """Write queue.csv, pictures, pages and files for annotation tools for a round's weak images; count them by reason.

    archive_uri: where the run's archive lies now; "" = where it lay when the run was started
    shown: where the pictures come from, how they look, and for which tools they are

    Images that were judged already are left out. Raises NotFinished when the round was not inferred, UserError when
    `out` holds a queue.
    """
    if (out / QUEUE).exists():
        raise UserError(f"--out {out.name} holds a queue, perhaps filled in: choose another folder")
    folder = RunFolder(run.resolve())
    settings, archive = folder.config(), folder.archive(uri=archive_uri)
    stage = folder.round(number).predictions
    images = _open_images(stage, archive)
    chosen = _choose(images, archive, rounds=settings.rounds, config=config)
    studies = studies_of(chosen, archive)
    queue = Queue(
        chosen=chosen,
        studies=studies,
        seen={image.image_id: image for image in images},
        sentences=sentences_of(list(studies), archive, config=settings.reports),
    )
    pictures = Pictures(archive, out / SOURCE_PICTURES, shown.display)
    shutil.rmtree(pictures.folder, ignore_errors=True)  # of an export that was killed, in another size perhaps
    if shown.source:
        pictures.folder.mkdir(parents=True, exist_ok=True)
        wanted = {view.image_id: view.layout for views in studies.values() for view in views}
        draw_from_source(wanted, archive, source=shown.source, folder=pictures.folder, display=shown.display)
    write_queue(out, queue, pictures=pictures, stage=stage, tools=shown.tools)
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
    return [
        Queued(number, images[place], float(p_mass[place]), str(why))
        for number, (place, why) in enumerate(zip(places, reasons, strict=True), start=1)
    ]
