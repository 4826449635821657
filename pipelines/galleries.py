"""The pictures on a run's page: test images before and after the rounds, and images of the last round's pools."""

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.compute as pc
import pyarrow.parquet as pq

from pipelines.evaluate import probability_maps
from pipelines.selftrain import SUPERVISED, System
from system.archive import Archive
from system.archive.delta import one_of
from system.config import RunConfig
from system.figures import GalleryItem, MinedItem
from system.imaging import decode_png
from system.mining import pool_name, read_pool
from system.records import Quadrant, Side, Split
from system.reports.labelled import read_reports
from system.reports.rules import sentence_on
from system.runs import Stage

NUM_WITH_MASS, NUM_WITHOUT = 8, 4  # test images
NUM_MINED = 4  # images of each pool
POOLS = {
    Quadrant.TP: "TP: report and map say mass",
    Quadrant.FP: "FP: the map says mass, the report none",
    Quadrant.FN: "FN: the report says mass, the map none",
}


def mined(out: Path, archive: Archive, *, config: RunConfig) -> dict[str, list[MinedItem]]:
    """Return images of each pool of the last round at its last p0, the surest first; nothing without a round."""
    numbers = [n for n in range(1, config.rounds.num_rounds + 1) if Stage(out, f"round_{n:02d}/pools").manifest()]
    if not numbers:
        return {}
    last = f"round_{numbers[-1]:02d}"
    p0 = config.rounds.p0.values(config.rounds.train.num_epochs)[-1]
    pool = read_pool(Stage(out, f"{last}/pools").path(pool_name(p0)))
    chosen = {heading: _surest(pool, quadrant) for quadrant, heading in POOLS.items()}
    maps = _maps_of(Stage(out, f"{last}/predictions"), {row["image_key"] for rows in chosen.values() for row in rows})
    facts = _facts_of([row["image_id"] for rows in chosen.values() for row in rows], archive, config=config)
    return {
        heading: [_mined_item(row, facts[row["image_id"]], maps.get(row["image_key"]), archive) for row in rows]
        for heading, rows in chosen.items()
    }


def _surest(pool: Any, quadrant: Quadrant) -> list[dict[str, Any]]:
    """Return the pool's images of which map and report are surest: those of FP by score, those of FN by y, those of TP by both."""
    columns = ["image_key", "image_id", "y", "score"]
    rows = pool.filter(pc.field("quadrant") == int(quadrant)).select(columns).to_pylist()
    sure = {Quadrant.TP: lambda row: row["y"] * row["score"], Quadrant.FP: lambda row: row["score"], Quadrant.FN: lambda row: row["y"]}
    return sorted(rows, key=lambda row: (-sure[quadrant](row), row["image_key"]))[:NUM_MINED]


def _maps_of(predictions: Stage, keys: set[int]) -> dict[int, np.ndarray]:
    """Return the maps of those images that have one."""
    found: dict[int, np.ndarray] = {}
    for path in predictions.paths():
        table = pq.ParquetFile(path).read(["image_key", "map_png"])
        for row in table.filter(pc.field("image_key").isin(list(keys)) & pc.field("map_png").is_valid()).to_pylist():
            coarse = decode_png(row["map_png"])
            found[row["image_key"]] = coarse / np.float32(np.iinfo(coarse.dtype).max)
    return found


def _facts_of(image_ids: list[str], archive: Archive, *, config: RunConfig) -> dict[str, dict[str, Any]]:
    """Return side, view, pixel_sha and the report's sentence of each image."""
    columns = ["image_id", "study_id", "side", "view", "pixel_sha"]
    images = archive.table("images", columns=columns, where=one_of("image_id", image_ids)).to_pylist()
    reports = archive.table("reports", where=one_of("study_id", [row["study_id"] for row in images]))
    read = read_reports(reports, config=config.reports)
    by_study = dict(zip(read.studies, read.sections, strict=True))
    return {
        row["image_id"]: row
        | {"sentence": sentence_on(by_study[row["study_id"]], Side(row["side"])) if row["study_id"] in by_study else "no report"}
        for row in images
    }


def _mined_item(row: dict[str, Any], facts: dict[str, Any], probability: np.ndarray | None, archive: Archive) -> MinedItem:
    caption = f"{facts['side']} {facts['view']}, report {row['y']:.2f}, map {row['score']:.2f}"
    return MinedItem(archive.pixels(facts["pixel_sha"]), probability, facts["sentence"], caption)


def before_and_after(systems: list[System], archive: Archive) -> dict[str, list[GalleryItem]]:
    """Return the test images on which the last model and the supervised one differ most."""
    last = systems[-1]
    before = _maps(systems[0], archive)
    after = _maps(last, archive)
    shas = {row["image_id"]: row["pixel_sha"] for row in archive.table("images", columns=["image_id", "pixel_sha"]).to_pylist()}
    places = {
        row["image_id"]: f"{row['side']} {row['view']}" for row in archive.table("images", columns=["image_id", "side", "view"]).to_pylist()
    }
    change = {image_id: abs(float(after[image_id][0].max()) - float(before[image_id][0].max())) for image_id in after}
    ranked = sorted(after, key=lambda image_id: (-change[image_id], image_id))
    galleries: dict[str, list[GalleryItem]] = {}
    for heading, with_mass, count in (
        (f"With a mass: {SUPERVISED} → {last.title}", True, NUM_WITH_MASS),
        (f"Without: {SUPERVISED} → {last.title}", False, NUM_WITHOUT),
    ):
        chosen = [image_id for image_id in ranked if bool(np.any(after[image_id][1])) is with_mass][:count]
        galleries[heading] = [
            GalleryItem(
                image=archive.pixels(shas[image_id]),
                truth=after[image_id][1],
                map_before=before[image_id][0],
                map_after=after[image_id][0],
                caption=f"{places[image_id]}, highest probability {before[image_id][0].max():.2f} → {after[image_id][0].max():.2f}",
            )
            for image_id in chosen
        ]
    return galleries


def _maps(system: System, archive: Archive) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """Return probability and truth of every test image."""
    return {image_id: (found, truth) for image_id, found, truth in probability_maps(system.held_out, archive=archive, split=Split.TEST)}
