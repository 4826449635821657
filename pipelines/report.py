"""Put a run's finished stages together: the table for the terminal and the page for the browser."""

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from pipelines.console import console
from pipelines.evaluate import probability_maps
from pipelines.evaluated import patient_counts
from pipelines.selftrain import SUPERVISED, System
from pipelines.train import epoch_rows
from system.archive import Archive
from system.config import RunConfig, as_yaml
from system.figures import (
    NAN,
    FrocSeries,
    GalleryItem,
    HeadlineRow,
    LabelRow,
    PoolRow,
    PurityRow,
    RunReport,
    headline_table,
    label_table,
    pool_table,
    write_page,
)
from system.metrics import PatientCounts, compare_systems
from system.records import Split
from system.runs import Manifest, Stage, code_digest

NUM_WITH_MASS, NUM_WITHOUT = 8, 4  # images in the gallery


def present(out: Path, systems: list[System], *, archive_uri: str, config: RunConfig) -> Path:
    """Print the tables and write the page; returns its path."""
    archive = Archive.open(archive_uri).pinned(_manifest(Stage(out, "archive")).archive_versions)
    report = gather(out, systems, archive=archive, config=config)
    page = write_page(report, out / "report" / "index.html")
    screen = console()
    for table in (label_table(report.labels), headline_table(report.headline), pool_table(report.pools)):
        screen.print(table)
    for title, value in report.thresholds.items():
        screen.print(f"{title}: {value:.3g}")
    screen.print(f"page: {page}")
    return page


def gather(out: Path, systems: list[System], *, archive: Archive, config: RunConfig) -> RunReport:
    """Return everything that the page shows, from the run's finished stages."""
    return RunReport(
        title=out.resolve().name,
        headline=list(headline_rows({system.title: patient_counts(system.evaluation, config=config.froc) for system in systems}, config)),
        baseline=SUPERVISED,
        rules=json.loads(systems[0].evaluation.path("froc.json").read_text(encoding="utf8"))["rules"],
        froc=[_series(system) for system in systems],
        pools=list(_pool_rows(out, config)),
        purity=list(_purity_rows(out, config)),
        thresholds=_thresholds(systems),
        labels=label_rows(_manifest(Stage(out, "labels"))),
        epochs=[row | {"stage": system.title} for system in systems for row in map(_flat, epoch_rows(system.checkpoint))],
        galleries=_galleries(systems, archive) if len(systems) > 1 else {},
        config=as_yaml(config),
        facts={"code": code_digest()} | {f"archive table {name}": f"version {version}" for name, version in archive.versions().items()},
    )


def label_rows(manifest: Manifest) -> list[LabelRow]:
    """Return table 2 of the paper from a labelling's manifest: each side, then the rules, then by language."""
    sides = {side: manifest.metrics[side] for side in ("left", "right")}
    rows = [_label_row(side, found, uncalibrated=found["uncalibrated"]) for side, found in sides.items()]
    rows += [replace(_label_row(f"{side}, by rules", found["rules"]), ece=NAN, coverage={}) for side, found in sides.items()]
    return rows + [_label_row(f"{side}, {name}", part) for side, found in sides.items() for name, part in found["by_language"].items()]


def _label_row(title: str, found: dict[str, Any], *, uncalibrated: dict[str, Any] | None = None) -> LabelRow:
    return LabelRow(
        title=title,
        num_breasts=found["num_breasts"],
        f1=found["average_f1"],
        weighted_f1=found["weighted_f1"],
        accuracy=found["accuracy"],
        auroc=found["auroc"],
        ece_before=uncalibrated["ece"] if uncalibrated else NAN,
        ece=found["ece"],
        brier=found["brier"],
        coverage=found["coverage"],
    )


def headline_rows(counts: dict[str, PatientCounts], config: RunConfig) -> Iterator[HeadlineRow]:
    """Give each system's line, compared with the supervised one on the same patients."""
    for row in compare_systems(counts, baseline=SUPERVISED, config=config.froc):
        yield HeadlineRow(
            title=row.title,
            sensitivity={f"{fppi:g}": value for fppi, value in row.sensitivity.items()},
            mean=row.mean,
            interval=row.interval.pair(),
            difference=float("nan") if row.title == SUPERVISED else row.difference,
            difference_interval=row.difference_interval.pair(),
        )


def _series(system: System) -> FrocSeries:
    curve = json.loads(system.evaluation.path("froc.json").read_text(encoding="utf8"))["sweep"]["curve"]
    return FrocSeries(system.title, curve["fppi"], curve["sensitivity"])


def _pool_rows(out: Path, config: RunConfig) -> Iterator[PoolRow]:
    for number, manifest in _rounds(out, config):
        for p0, counts in _falling(manifest.metrics["counts"]):
            yield PoolRow(number, float(p0), *(int(counts[name]) for name in ("TP", "FP", "FN", "TN", "UNUSED")))


def _purity_rows(out: Path, config: RunConfig) -> Iterator[PurityRow]:
    for number, manifest in _rounds(out, config):
        for p0, pools in _falling(manifest.metrics["purity"]):
            for quadrant, found in pools.items():
                if found["known"]:
                    yield PurityRow(number, float(p0), quadrant, found["known"], found["share"])


def _falling(by_p0: dict[str, Any]) -> list[tuple[str, Any]]:
    return sorted(by_p0.items(), key=lambda item: -float(item[0]))


def _rounds(out: Path, config: RunConfig) -> Iterator[tuple[int, Manifest]]:
    for number in range(1, config.rounds.num_rounds + 1):
        if manifest := Stage(out, f"round_{number:02d}/pools").manifest():
            yield number, manifest


def _thresholds(systems: list[System]) -> dict[str, float]:
    found = {}
    for system in systems:
        found[f"{system.title}: mask threshold"] = system.thresholds.mask_threshold
        found[f"{system.title}: candidate floor"] = system.thresholds.candidate_floor
    return found


def _flat(row: dict[str, Any]) -> dict[str, float | int | str]:
    return {key: value for key, value in row.items() if not isinstance(value, dict)} | {
        f"loss_{key}": value for key, value in row["losses"].items()
    }


def _galleries(systems: list[System], archive: Archive) -> dict[str, list[GalleryItem]]:
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


def _manifest(stage: Stage) -> Manifest:
    manifest = stage.manifest()
    if manifest is None:
        raise FileNotFoundError(f"stage {stage.name} of run {stage.run.name} is not finished: start the run again")
    return manifest
