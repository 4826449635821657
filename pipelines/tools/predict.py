"""Predict: run a checkpoint over a folder of views without truth; candidates come out in the pixels of the files.

The views pass through an archive of their own under `work/`, so that what cannot be read, contradicts itself or comes
twice is refused as everywhere else; it is removed at the end. A predict that was killed is started again with the same
arguments.
"""

import json
import logging
import shutil
from collections import Counter
from dataclasses import dataclass, replace
from hashlib import sha256
from pathlib import Path

import pyarrow as pa

from pipelines import infer, ingest
from pipelines.tools.predict_out import CANDIDATES, Detector, Overlays, Predicted, SourceView, draw, write
from pipelines.tools.worklist import write_worklist
from system.archive import Archive, SplitConfig, pair_table
from system.archive.intake import source_of
from system.archive.layouts import LAYOUTS
from system.config import RunConfig
from system.errors import UserError
from system.figures.console import two_columns
from system.figures.table import Table
from system.files.names import readable
from system.imaging import ImagingConfig
from system.nets import read_card, weights_digest
from system.run.predictions import read_predictions
from system.run.results import InferResult, TrainResult
from system.run.stage import MANIFEST, Stage
from system.run.systems import System

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class PredictSummary:
    """What came of a folder."""

    num_files: int
    num_looked_at: int
    num_with_candidates: int
    num_candidates: int
    errors: dict[str, int]  # code -> files
    images_per_s: float

    def table(self) -> Table:
        """Return it for the terminal."""
        rows = {
            "files": self.num_files,
            "looked at": self.num_looked_at,
            "with candidates": self.num_with_candidates,
            "candidates": self.num_candidates,
        }
        rows |= {f"not looked at: {code}": count for code, count in self.errors.items()}
        return two_columns("Predict", rows | {"images/s, once started": f"{self.images_per_s:.1f}"})


def run(
    images: Path, out: Path, *, detector: Detector, layout: str, config: RunConfig, overlays: Overlays
) -> PredictSummary:
    """Write worklist, candidates.csv, images.csv, candidates.coco.json and overlays/ under `out`; needs a running Ray.

    layout: a name in LAYOUTS;  overlays: pictures of images with candidates, of all, of none
    Raises UserError when `out` holds predictions already or lies among the images, or no file can be used.
    """
    out = out.resolve()
    _check_out(out, images)
    work = out / "work"
    archive = _take_in(images, work / "archive", layout=layout, config=config, detector=detector)
    views = _views(archive, images, layout=layout)
    if not any(view.key for view in views):
        reasons = ", ".join(f"{count} {code}" for code, count in _codes(views).items())
        raise UserError(f"none of the {len(views)} files can be used ({reasons}): see `mammoloop predict --help`")
    pairs = pair_table(archive.table("images"))
    # A file that came since a killed start makes it another stage.
    stage = Stage(work, f"predictions_{_digest(pairs, detector)}", InferResult)
    refine = config.infer.refine.changed(
        candidates=detector.rules.candidates,
        candidate_threshold=detector.rules.candidate_threshold,
        min_candidate_px=detector.rules.min_candidate_px,
    )
    inferred = infer.whole_maps(
        pairs,
        archive_uri=archive.uri,
        checkpoint=detector.model,
        config=config.infer.changed(refine=refine, flip_average=detector.flip_average),
        resources=config.resources.infer,
        stage=stage,
    )
    predictions = {prediction.image_id: prediction for prediction in read_predictions(stage)}
    views = [replace(view, error=predictions[view.key].error) if view.key else view for view in views]
    predicted = Predicted(views, predictions, _partners(pairs, views))
    draw(stage, predicted, out=out, archive=archive, overlays=overlays)
    write_worklist(out, predicted, archive=archive, detector=detector.in_words())
    write(out, predicted, detector=detector, overlays=overlays)
    shutil.rmtree(work)
    return PredictSummary(
        num_files=len(views),
        num_looked_at=sum(not view.error for view in views),
        num_with_candidates=sum(predicted.num_candidates(view) > 0 for view in views),
        num_candidates=sum(predicted.num_candidates(view) for view in views),
        errors=_codes(views),
        images_per_s=inferred.images_per_s,
    )


def _check_out(out: Path, images: Path) -> None:
    if out.is_relative_to(images.resolve()):
        raise UserError(
            f"--out {out.name} lies inside --images, where it would be taken for images: choose a folder elsewhere"
        )
    if (out / CANDIDATES).exists():
        raise UserError(f"--out {out.name} holds candidates already: choose another folder")


def detector_of(checkpoint: Path, *, config: RunConfig, candidate_threshold: float = 0.0) -> Detector:
    """Return a checkpoint with the candidates and flips its run evaluated it by, or the config's where it has no run.

    checkpoint: a checkpoint stage of a run (run/round_02/checkpoint), or a folder with model.json
    candidate_threshold: above 0 and below 1, taken instead
    Raises UserError where there is no model.
    """
    if candidate_threshold >= 1:
        raise UserError(f"--threshold {candidate_threshold:g}: no probability is above it, give one below 1")
    model = checkpoint
    if (checkpoint / MANIFEST).exists():
        model = Stage(checkpoint.parent, checkpoint.name, TrainResult).path("model.json").parent
    read_card(model)
    rules, reason, flip_average = config.froc, "by the configuration's froc", config.infer.flip_average
    for part in model.resolve().parents:
        system = System(part.parent, part.name, part.name)
        if system.froc().finished:
            rules, reason = system.froc().result().rules, f"as run {part.parent.name} evaluated it"
            flip_average = system.held_out.result().flip_average
            break
    if candidate_threshold:
        rules, reason = rules.changed(candidates="threshold", candidate_threshold=candidate_threshold), "as given"
    return Detector(model, rules, reason, flip_average)


def _take_in(images: Path, archive: Path, *, layout: str, config: RunConfig, detector: Detector) -> Archive:
    card = read_card(detector.model)
    settings = config.ingest.changed(
        imaging=ImagingConfig(height_px=card.height_px, width_px=card.width_px),
        # Whatever truth the folder holds, all of it is only looked at.
        split=SplitConfig(strong=0, weak=1, validation=0, test=0),
    )
    ingest.run(images, str(archive), layout=layout, config=settings)
    return Archive.open(str(archive))


def _views(archive: Archive, images: Path, *, layout: str) -> list[SourceView]:
    """Return one row per file of the folder, in the layout's order."""
    taken = {row["source"]: row for row in archive.table("files").to_pylist()}
    kept_out = {row["source"]: f"{row['code']}: {row['detail']}" for row in archive.table("quarantine").to_pylist()}
    views = []
    for number, item in enumerate(LAYOUTS[layout].items(images), start=1):
        source = source_of(archive, images, item)
        view = SourceView(
            number,
            readable(item.name),
            "",
            study_id=archive.identifier("study", item.study) if item.study else "",
            study=item.study,
            path=LAYOUTS[layout].files(images, item)[0],
        )
        if row := taken.get(source) if source not in kept_out else None:
            known = {name: row[name] for name in ("side", "view", "geometry", "pixel_sha", "study_id")}
            views.append(replace(view, key=row["image_id"], **known))
        else:
            reason = kept_out.get(source, "unread: it came while the others were read")
            views.append(replace(view, error=reason))
    return views


def _codes(views: list[SourceView]) -> dict[str, int]:
    return dict(sorted(Counter(view.error.partition(":")[0] for view in views if view.error).items()))


def _digest(pairs: pa.Table, detector: Detector) -> str:
    facts = [pairs.to_pydict(), weights_digest(detector.model), detector.rules.model_dump(), detector.flip_average]
    return sha256(json.dumps(facts).encode()).hexdigest()[:12]


def _partners(pairs: pa.Table, views: list[SourceView]) -> dict[str, int]:
    """Return, by image_id, the number of the view that each image was looked at beside, if there was one."""
    numbers = {view.key: view.number for view in views if view.key}
    couples = [(row["left_id"], row["right_id"]) for row in pairs.to_pylist() if row["left_id"] and row["right_id"]]
    return {one: numbers[other] for left, right in couples for one, other in ((left, right), (right, left))}
