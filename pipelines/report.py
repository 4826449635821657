"""Put a run's finished stages together: the table for the terminal and the page for the browser."""

import json
import platform
from collections.abc import Iterator
from dataclasses import replace
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np

from pipelines.console import console
from pipelines.evaluated import patient_counts
from pipelines.galleries import before_and_after, mined
from pipelines.selftrain import SUPERVISED, System
from pipelines.train import epoch_rows
from system.archive import Archive
from system.config import RunConfig, as_yaml
from system.figures import (
    NAN,
    EpochPool,
    FlowRow,
    FrocSeries,
    HeadlineRow,
    LabelRow,
    PoolRow,
    PurityRow,
    Reliability,
    RunReport,
    headline_table,
    label_table,
    pool_table,
    write_page,
)
from system.metrics import PatientCounts, compare_systems
from system.metrics.bootstrap import draw_weights, percentile_interval, resampled_sensitivity
from system.mining import p0_text
from system.runs import Manifest, Stage, code_digest

NUM_SLOWEST = 12
NUM_BAND_POINTS = 116


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
        title=f"Run {out.resolve().name}",
        headline=list(headline_rows({system.title: patient_counts(system.evaluation, config=config.froc) for system in systems}, config)),
        baseline=SUPERVISED,
        rules=json.loads(systems[0].evaluation.path("froc.json").read_text(encoding="utf8"))["rules"],
        froc=[_series(system, config=config) for system in systems],
        pools=list(_pool_rows(out, config)),
        epoch_pools=list(_epoch_pools(out, config)),
        flows=list(_flow_rows(out, config)),
        purity=list(_purity_rows(out, config)),
        thresholds=_thresholds(systems),
        labels=label_rows(_manifest(Stage(out, "labels"))),
        reliability=_reliability(_manifest(Stage(out, "labels"))),
        epochs=[row | {"stage": system.title} for system in systems for row in map(_flat, epoch_rows(system.checkpoint))],
        galleries=before_and_after(systems, archive) if len(systems) > 1 else {},
        mined=mined(out, archive, config=config),
        seconds=_slowest(out),
        config=as_yaml(config),
        facts={"code": code_digest()} | _versions() | {f"archive table {name}": f"version {at}" for name, at in archive.versions().items()},
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


def _series(system: System, *, config: RunConfig) -> FrocSeries:
    """Return a system's curve, and its interval on a grid as far as the curve goes."""
    curve = json.loads(system.evaluation.path("froc.json").read_text(encoding="utf8"))["sweep"]["curve"]
    counts = patient_counts(system.evaluation, config=config.froc)
    weights = draw_weights(len(counts.patients), num_resamples=config.froc.bootstrap, rng=np.random.default_rng(config.froc.seed))
    end = min(1.15 * max(config.froc.fppi), max(curve["fppi"], default=0.0))
    grid = np.linspace(0, end, NUM_BAND_POINTS).tolist()
    drawn = resampled_sensitivity(counts, weights=weights, fppi=grid)
    band = [(x, *percentile_interval(column).pair()) for x, column in zip(grid, drawn.T, strict=True)]
    return FrocSeries(system.title, curve["fppi"], curve["sensitivity"], band=band)


def _pool_rows(out: Path, config: RunConfig) -> Iterator[PoolRow]:
    for number, manifest in _rounds(out, config):
        for p0, counts in _falling(manifest.metrics["counts"]):
            yield PoolRow(number, float(p0), *(int(counts[name]) for name in ("TP", "FP", "FN", "TN", "UNUSED")))


def _epoch_pools(out: Path, config: RunConfig) -> Iterator[EpochPool]:
    for number, manifest in _rounds(out, config):
        for epoch in range(config.rounds.train.num_epochs):
            p0 = config.rounds.p0.at(epoch)
            counts = manifest.metrics["counts"][p0_text(p0)]
            yield EpochPool(number, epoch + 1, p0, *(int(counts[name]) for name in ("TP", "FP", "FN")))


def _flow_rows(out: Path, config: RunConfig) -> Iterator[FlowRow]:
    for number, manifest in _rounds(out, config):
        for p0, ways in _falling(manifest.metrics["moved"]):
            if ways:
                yield FlowRow(number, float(p0), ways, manifest.metrics["reasons"][p0])


def _reliability(manifest: Manifest) -> list[Reliability]:
    """Return both sides' probabilities against what came true, on the folds held out."""
    found = []
    for side in ("left", "right"):
        tenths, raw = manifest.metrics[side]["reliability"], manifest.metrics[side]["uncalibrated"]["reliability"]
        columns = ([one[name] for one in tenths] for name in ("p_mass", "share", "count"))
        found.append(Reliability(side, *columns, raw=[(one["p_mass"], one["share"]) for one in raw]))
    return found


def _slowest(out: Path) -> dict[str, float]:
    """Return the stages that took longest, and how many seconds."""
    took: dict[str, float] = {}
    for path in out.glob("**/manifest.json"):
        name = str(path.parent.relative_to(out))
        if manifest := Stage(out, name).manifest():
            took[name] = manifest.seconds
    return dict(sorted(took.items(), key=lambda item: -item[1])[:NUM_SLOWEST])


def _versions() -> dict[str, str]:
    """Return what the numbers were computed with, as it is installed here."""
    return {"Python": platform.python_version()} | {name: version(name) for name in ("mammoloop", "torch", "timm", "ray")}


def _purity_rows(out: Path, config: RunConfig) -> Iterator[PurityRow]:
    for number, manifest in _rounds(out, config):
        for p0, pools in _falling(manifest.metrics["purity"]):
            for quadrant in ("TP", "FP", "FN"):
                if pools[quadrant]["known"]:
                    yield PurityRow(number, float(p0), quadrant, pools[quadrant]["known"], pools[quadrant]["share"])


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


def _manifest(stage: Stage) -> Manifest:
    manifest = stage.manifest()
    if manifest is None:
        raise FileNotFoundError(f"stage {stage.name} of run {stage.run.name} is not finished: start the run again")
    return manifest
