"""Review: put before a radiologist the images from which most is to be learned, and take her verdicts into the archive."""

import json
import logging
from collections import Counter
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from pipelines.mine import labels_of
from pipelines.selftrain import Run, config_of, reopen
from system.archive import Archive
from system.archive.tables import SCHEMAS
from system.exchange import Finding, ImageFindings, as_coco, write_csv
from system.figures import png_of, with_findings
from system.imaging import decode_png, encode_png
from system.review import SHEET, Judgement, QueueConfig, acquire, from_box, from_coco, read_sheet
from system.runs import Stage, write_atomically

log = logging.getLogger(__name__)

QUEUE, COCO, PICTURES, OVERLAYS = "queue.csv", "candidates.coco.json", "pictures", "overlays"
_LIGHT = ["image_key", "image_id", "study_id", "side", "view", "score", "entropy", "candidates", "error"]


@dataclass(frozen=True)
class Taken:
    """What an import brought."""

    verdicts: dict[str, int]  # word -> images
    num_outlined: int  # of them with a mask, which will teach like annotated images


def export(run: Path, number: int, out: Path, *, config: QueueConfig) -> dict[str, int]:
    """Write queue.csv, candidates.coco.json, pictures/ and overlays/ for a round's weak images; returns how many came for which reason.

    Images on which somebody has given a verdict already are left out. Pictures, boxes and overlays are canonical views: chest wall left.
    Raises FileNotFoundError when the round was not inferred, ValueError when `out` holds a queue.
    """
    if (out / QUEUE).exists():
        raise ValueError(f"--out {out.name} holds a queue, perhaps filled in: choose another folder")
    here = reopen(run.resolve(), config_of(run))
    stage = here.stage(f"round_{number:02d}/predictions")
    frame = _candidates(here, stage)
    p0 = here.config.rounds.p0.start
    places, why = acquire(*(frame[name].to_numpy(np.float32) for name in ("y", "score", "entropy")), p0=p0, config=config)
    chosen = frame.iloc[places].assign(why=why).reset_index(drop=True)
    _draw(chosen, stage, out=out, archive=here.archive)
    shape = (here.archive.imaging.height_px, here.archive.imaging.width_px)
    images = [_findings(place, row, shape=shape) for place, row in enumerate(chosen.to_dict("records"), start=1)]
    write_atomically(out / COCO, json.dumps(as_coco(images, description="mammoloop, canonical views: chest wall left; no diagnosis")))
    write_csv(out / QUEUE, SHEET, [_line(place, row) for place, row in enumerate(chosen.to_dict("records"), start=1)])
    return dict(Counter(str(reason) for reason in why))


def take_in(sheet: Path, archive_uri: str, *, reader: str, coco: Path | None = None) -> Taken:
    """Write a filled-in queue.csv into the archive's `verdicts`; the same file again changes nothing.

    coco: the annotations as edited by the reader; their polygons, else boxes, outline the masses, before boxes in the sheet
    Raises ValueError for a mistake in the sheet, with its line, and for images that the archive does not have.
    """
    archive, judgements = Archive.open(archive_uri), read_sheet(sheet)
    images = archive.table("images", columns=["image_id", "rows", "cols"]).to_pylist()
    shapes = {row["image_id"]: (row["rows"], row["cols"]) for row in images}
    if unknown := sum(judgement.image_id not in shapes for judgement in judgements):
        raise ValueError(f"{sheet.name} judges {unknown} images that this archive does not have: name the archive it was exported from")
    drawn = _annotations(coco) if coco else {}
    at = datetime.fromtimestamp(sheet.stat().st_mtime, UTC).isoformat()  # of the file, so that the same file is the same verdicts
    rows = []
    for judgement in judgements:
        mask = _mask(judgement, drawn.get(judgement.picture, []), shape=shapes[judgement.image_id])
        sha = archive.put_pixels(mask) if mask.any() else ""
        facts = {"image_id": judgement.image_id, "verdict": judgement.verdict, "why": judgement.why}
        rows.append(facts | {"mask_sha": sha, "reader": reader, "at": at})
    if rows:
        archive.upsert("verdicts", pa.Table.from_pylist(rows, schema=SCHEMAS["verdicts"]))
    return Taken(dict(Counter(row["verdict"] for row in rows)), sum(bool(row["mask_sha"]) for row in rows))


def _candidates(here: Run, stage: Stage) -> pd.DataFrame:
    """Return the round's readable images that nobody has judged, by key, with their labels."""
    rows = pd.concat([pq.ParquetFile(path).read(_LIGHT).to_pandas() for path in stage.paths()])
    judged = set(Archive.open(here.archive.uri).table("verdicts", columns=["image_id"])["image_id"].to_pylist())
    readable: pd.DataFrame = rows.loc[rows["error"].isna() & ~rows["image_id"].isin(list(judged))]
    rows = readable.sort_values("image_key")
    if rows.empty:
        raise ValueError(f"{stage.name} has no image left to be judged")
    shas = here.archive.table("images", columns=["image_key", "pixel_sha"]).to_pandas()
    return rows.assign(y=labels_of(rows, here.archive.table("labels"))).merge(shas, on="image_key").reset_index(drop=True)


def _draw(chosen: pd.DataFrame, stage: Stage, *, out: Path, archive: Archive) -> None:
    """Write each chosen view as it is, and once more with what the network says of it."""
    for folder in (PICTURES, OVERLAYS):
        (out / folder).mkdir(parents=True, exist_ok=True)
    maps = _maps(set(chosen["image_key"]), stage)
    for place, row in enumerate(chosen.to_dict("records"), start=1):
        view = archive.pixels(row["pixel_sha"])
        (out / _picture(place)).write_bytes(encode_png((view >> 8).astype(np.uint8)))
        coarse = maps[row["image_key"]]
        if coarse is None:  # of images without a mask no map is kept
            coarse = np.zeros((1, 1), np.float32)
        boxes = [(tuple(found["box_px"]), found["score"]) for found in json.loads(row["candidates"])]
        (out / OVERLAYS / f"{place:04d}.png").write_bytes(png_of(with_findings(view, coarse, boxes, mirrored=False)))


def _maps(keys: set[int], stage: Stage) -> dict[int, np.ndarray | None]:
    """Return the kept maps of the chosen images, [h, w] float32, 0 to 1, reading one file at a time."""
    found: dict[int, np.ndarray | None] = {}
    for path in stage.paths():
        table = pq.ParquetFile(path).read(["image_key", "map_png"])
        for key, png in zip(table["image_key"].to_pylist(), table["map_png"].to_pylist(), strict=True):
            if key in keys:
                found[key] = None if png is None else _probability(decode_png(png))
    return found


def _probability(png: np.ndarray) -> np.ndarray:
    return png.astype(np.float32) / np.iinfo(png.dtype).max


def _picture(place: int) -> str:
    return f"{PICTURES}/{place:04d}.png"


def _findings(place: int, row: dict[str, Any], *, shape: tuple[int, int]) -> ImageFindings:
    findings = tuple(
        Finding(tuple(found["box_px"]), tuple(found["centroid_px"]), found["area_px"], found["score"])
        for found in json.loads(row["candidates"])
    )
    return ImageFindings(place, _picture(place), *shape, findings)


def _line(place: int, row: dict[str, Any]) -> list[Any]:
    report = "" if np.isnan(row["y"]) else round(float(row["y"]), 4)
    facts = [row["image_id"], _picture(place), row["study_id"], row["side"], row["view"], str(row["why"])]
    return [*facts, report, round(float(row["score"]), 4), "", "", "", "", ""]


def _annotations(coco: Path) -> dict[str, list[dict[str, Any]]]:
    """Return a COCO file's annotations by picture, without those that carry a score: they are still the network's own."""
    try:
        data = json.loads(coco.read_text(encoding="utf8"))
        names = {image["id"]: image["file_name"] for image in data["images"]}
        found: dict[str, list[dict[str, Any]]] = {name: [] for name in names.values()}
        for annotation in data["annotations"]:
            if "score" not in annotation:
                found[names[annotation["image_id"]]].append(annotation)
    except (ValueError, KeyError, TypeError) as error:
        raise ValueError(f"{coco.name} is no COCO file ({type(error).__name__}: {error}): export it as COCO JSON") from None
    return found


def _mask(judgement: Judgement, annotations: list[dict[str, Any]], *, shape: tuple[int, int]) -> np.ndarray:
    """Return the outline [H, W] bool; empty where none was drawn, or there is no mass."""
    if judgement.verdict != "mass":
        return np.zeros(shape, bool)
    if annotations:
        return from_coco(annotations, shape=shape)
    return from_box(judgement.box_px, shape=shape) if judgement.box_px else np.zeros(shape, bool)
