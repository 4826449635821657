"""The pictures on a run's page: test images before and after the rounds, and images of the last round's pools."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from system.archive import Archive
from system.archive.delta import one_of
from system.config import RunConfig
from system.evaluation.maps_of_run import held_out_images
from system.figures.rows import GalleryItem, MinedItem
from system.mining import read_pool
from system.records import Quadrant, Side, Split
from system.reports.annotated import read_reports
from system.reports.rules import sentence_on
from system.run.folder import RunFolder, System
from system.run.predictions import read_maps

NUM_WITH_MASS, NUM_WITHOUT = 8, 4  # test images
NUM_MINED = 4  # images of each pool
POOLS = {
    Quadrant.TP: "TP: report and map agree on a mass",
    Quadrant.FP: "FP: a mass on the map, none in the report",
    Quadrant.FN: "FN: a mass in the report, none on the map",
}


@dataclass(frozen=True, slots=True)
class _Member:
    """One image of a pool."""

    image_key: int
    image_id: str
    p_mass: float
    score: float


@dataclass(frozen=True, slots=True)
class _Known:
    """What the archive has of an image."""

    side: str
    view: str
    pixel_sha: str
    sentence: str  # of the report, on this breast


# What makes an image of a pool a sure one: high p_mass, high score, or both.
_SURE: dict[Quadrant, Callable[[_Member], float]] = {
    Quadrant.TP: lambda member: member.p_mass * member.score,
    Quadrant.FP: lambda member: member.score,
    Quadrant.FN: lambda member: member.p_mass,
}


def mined(run: RunFolder, archive: Archive, *, config: RunConfig) -> dict[str, list[MinedItem]]:
    """Return images of each pool of the last round at its last p0, the surest first; nothing without a round."""
    rounds = run.rounds()
    if not rounds:
        return {}
    last = rounds[-1]
    pool = read_pool(last.pools.path(last.pools.result().pools[-1].file))
    chosen = {heading: _surest(pool, quadrant) for quadrant, heading in POOLS.items()}
    members = [member for part in chosen.values() for member in part]
    maps = read_maps(last.predictions, [member.image_key for member in members])
    known = _known([member.image_id for member in members], archive, config=config)
    return {
        heading: [_mined_item(member, known[member.image_id], maps.get(member.image_key), archive) for member in part]
        for heading, part in chosen.items()
    }


def _surest(pool: pa.Table, quadrant: Quadrant) -> list[_Member]:
    """Return the pool's images of which map and report are surest."""
    columns = ["image_key", "image_id", "p_mass", "score"]
    rows = pool.filter(pc.field("quadrant") == int(quadrant)).select(columns).to_pylist()
    members = [_Member(**row) for row in rows]
    return sorted(members, key=lambda member: (-_SURE[quadrant](member), member.image_key))[:NUM_MINED]


def _known(image_ids: list[str], archive: Archive, *, config: RunConfig) -> dict[str, _Known]:
    columns = ["image_id", "study_id", "side", "view", "pixel_sha"]
    images = archive.table("images", columns=columns, where=one_of("image_id", image_ids)).to_pylist()
    reports = archive.table("reports", where=one_of("study_id", [row["study_id"] for row in images]))
    read = read_reports(reports, config=config.reports)
    by_study = dict(zip(read.studies, read.sections, strict=True))

    def sentence(study_id: str, side: str) -> str:
        return sentence_on(by_study[study_id], Side(side)) if study_id in by_study else "no report"

    return {
        row["image_id"]: _Known(row["side"], row["view"], row["pixel_sha"], sentence(row["study_id"], row["side"]))
        for row in images
    }


def _mined_item(member: _Member, known: _Known, probability: NDArray[np.float32] | None, archive: Archive) -> MinedItem:
    caption = f"{known.side} {known.view}, report {member.p_mass:.2f}, map {member.score:.2f}"
    return MinedItem(archive.pixels(known.pixel_sha), probability, known.sentence, caption)


def before_and_after(first: System, last: System, archive: Archive) -> dict[str, list[GalleryItem]]:
    """Return the test images on which the last model and the first one differ most in their highest probability."""
    before, after = (_highest(system, archive) for system in (first, last))
    ranked = sorted(after, key=lambda image_id: (-abs(after[image_id].peak - before[image_id].peak), image_id))
    with_mass = [image_id for image_id in ranked if after[image_id].has_mass][:NUM_WITH_MASS]
    without = [image_id for image_id in ranked if not after[image_id].has_mass][:NUM_WITHOUT]
    items = _gallery_items([*with_mass, *without], first, last, archive)
    return {
        f"With a mass: {first.title} → {last.title}": [items[image_id] for image_id in with_mass],
        f"Without: {first.title} → {last.title}": [items[image_id] for image_id in without],
    }


@dataclass(frozen=True, slots=True)
class _Peak:
    peak: float  # highest probability, 0 to 1
    has_mass: bool


def _highest(system: System, archive: Archive) -> dict[str, _Peak]:
    """Return the highest probability of every test image, and whether it shows a mass."""
    images = held_out_images(system.held_out, archive=archive, split=Split.TEST)
    return {image.image_id: _Peak(float(image.probability.max()), bool(image.truth.any())) for image in images}


def _gallery_items(image_ids: list[str], first: System, last: System, archive: Archive) -> dict[str, GalleryItem]:
    wanted = set(image_ids)
    before, after = (
        {
            image.image_id: image
            for image in held_out_images(system.held_out, archive=archive, split=Split.TEST)
            if image.image_id in wanted
        }
        for system in (first, last)
    )
    columns = ["image_id", "pixel_sha", "side", "view"]
    rows = archive.table("images", columns=columns, where=one_of("image_id", image_ids)).to_pylist()
    items: dict[str, GalleryItem] = {}
    for row in rows:
        earlier, later = before[row["image_id"]], after[row["image_id"]]
        peaks = f"{earlier.probability.max():.2f} → {later.probability.max():.2f}"
        items[row["image_id"]] = GalleryItem(
            image=archive.pixels(row["pixel_sha"]),
            truth=later.truth,
            map_before=earlier.probability,
            map_after=later.probability,
            caption=f"{row['side']} {row['view']}, highest probability {peaks}",
        )
    return items
