"""Predict: run a checkpoint over a folder of views that nobody has labelled; what is found comes out in the pixels of the files.

The views pass through an archive of their own under `work/`, so that what cannot be read, is laterally wrong or comes twice is told apart
as everywhere else; it is removed at the end. A predict that was killed is started again with the same words.
"""

import json
import logging
import shutil
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, replace
from hashlib import sha256
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from rich.table import Table

from pipelines import infer, ingest
from pipelines.console import two_columns
from pipelines.findings import CANDIDATES, Detector, Overlays, SourceView, candidates_of, draw, write
from system.archive import Archive, SplitConfig, pair_table
from system.archive.intake import source_of
from system.archive.layouts import LAYOUTS
from system.config import RunConfig
from system.imaging import ImagingConfig
from system.nets import read_card, weights_digest
from system.runs import Stage

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Predicted:
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


def run(images: Path, out: Path, *, detector: Detector, layout: str, config: RunConfig, overlays: Overlays) -> Predicted:
    """Write candidates.csv, images.csv, candidates.coco.json and overlays/ under `out`; needs a running Ray.

    layout: a name in LAYOUTS;  overlays: pictures of images with candidates, of all, of none
    Raises ValueError when `out` holds findings already or lies among the images, or no file can be used.
    """
    out = out.resolve()
    if out.is_relative_to(images.resolve()):
        raise ValueError(f"--out {out.name} lies inside --images, where it would be taken for images: choose a folder elsewhere")
    if (out / CANDIDATES).exists():
        raise ValueError(f"--out {out.name} holds findings already: choose another folder")
    work = out / "work"
    archive = _take_in(images, work / "archive", layout=layout, config=config, detector=detector)
    views = _views(archive, images, layout=layout)
    if not any(view.key for view in views):
        reasons = ", ".join(f"{count} {code}" for code, count in _codes(views).items())
        raise ValueError(f"none of the {len(views)} files can be used ({reasons}): see `mammoloop predict --help`")
    pairs = pair_table(archive.table("images"), repeats=True)
    stage = Stage(work, f"predictions_{_digest(pairs, detector)}")  # a file that came since a killed start makes it another stage
    refine = {"backend": "none", "candidate_floor": detector.candidate_floor, "min_candidate_px": detector.min_candidate_px}
    manifest = infer.run(
        pairs,
        archive_uri=archive.uri,
        checkpoint=detector.model,
        config=config.infer.model_copy(update={"refine": config.infer.refine.model_copy(update=refine)}),
        stage=stage,
        mask_threshold=0.5,  # of no consequence: candidates are taken from the maps
        keep_maps="all",
    )
    rows = {row["image_id"]: row for row in _rows(stage)}
    views = [replace(view, error=rows[view.key]["error"] or "") if view.key else view for view in views]
    draw(stage, views, rows, out=out, archive=archive, overlays=overlays)
    write(out, views, rows, partners=_partners(pairs), detector=detector, overlays=overlays)
    shutil.rmtree(work)
    return Predicted(
        num_files=len(views),
        num_looked_at=sum(not view.error for view in views),
        num_with_candidates=sum(bool(candidates_of(view, rows)) for view in views),
        num_candidates=sum(len(candidates_of(view, rows)) for view in views),
        errors=_codes(views),
        images_per_s=manifest.metrics["images_per_s"],
    )


def detector_of(checkpoint: Path, *, config: RunConfig, floor: float = 0.0) -> Detector:
    """Return a checkpoint with the candidates its run evaluated it by, or the config's where it belongs to no run.

    checkpoint: a training stage of a run (run/round_02/checkpoint), or a folder with model.json;  floor: above 0, taken instead
    Raises FileNotFoundError where there is no model.
    """
    model = Stage(checkpoint.parent, checkpoint.name).path("model.json").parent if (checkpoint / "manifest.json").exists() else checkpoint
    read_card(model)
    chosen, min_px, reason = config.froc.candidate_floor, config.froc.min_candidate_px, "froc.candidate_floor of the configuration"
    for part in model.resolve().parents:
        if manifest := Stage(part, "froc").manifest():
            chosen, min_px = manifest.config["candidate_floor"], manifest.config["min_candidate_px"]
            reason = f"as run {part.parent.name} evaluated it"
            break
    if floor:
        chosen, reason = floor, "asked for"
    return Detector(model, chosen, min_px, reason)


def _take_in(images: Path, archive: Path, *, layout: str, config: RunConfig, detector: Detector) -> Archive:
    card = read_card(detector.model)
    changes = {
        "imaging": ImagingConfig(height_px=card.height_px, width_px=card.width_px),
        "split": SplitConfig(strong=0, weak=1, validation=0, test=0),  # whatever truth the folder holds, all of it is only looked at
    }
    ingest.run(images, str(archive), layout=layout, config=config.ingest.model_copy(update=changes))
    return Archive.open(str(archive))


def _views(archive: Archive, images: Path, *, layout: str) -> list[SourceView]:
    """Return one row per file of the folder, in the layout's order."""
    taken = {row["source"]: row for row in archive.table("files").to_pylist()}
    kept_out = {row["source"]: f"{row['code']}: {row['detail']}" for row in archive.table("quarantine").to_pylist()}
    views = []
    for number, item in enumerate(LAYOUTS[layout].items(images), start=1):
        source = source_of(archive, images, item)
        if row := taken.get(source) if source not in kept_out else None:
            known = {name: row[name] for name in ("side", "view", "geometry", "pixel_sha")}
            views.append(SourceView(number, item.name, row["image_id"], **known))
        else:
            reason = kept_out.get(source, "unread: it came while the others were read")
            views.append(SourceView(number, item.name, "", error=reason))
    return views


def _codes(views: list[SourceView]) -> dict[str, int]:
    return dict(sorted(Counter(view.error.partition(":")[0] for view in views if view.error).items()))


def _digest(pairs: pa.Table, detector: Detector) -> str:
    facts = [pairs.to_pydict(), weights_digest(detector.model), detector.candidate_floor, detector.min_candidate_px]
    return sha256(json.dumps(facts).encode()).hexdigest()[:12]


def _partners(pairs: pa.Table) -> dict[str, str]:
    """Return the image_id that each image was looked at beside; those that were alone are left out."""
    couples = [(row["left_id"], row["right_id"]) for row in pairs.to_pylist() if row["left_id"] and row["right_id"]]
    return dict(couples) | {right: left for left, right in couples}


def _rows(stage: Stage) -> Iterator[dict[str, Any]]:
    for path in stage.paths():
        yield from pq.ParquetFile(path).read(["image_id", "p_image", "score", "candidates", "error"]).to_pylist()
