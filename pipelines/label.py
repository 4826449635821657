"""Label: teach six encoders on the annotated women's reports, then read every report of the archive into `labels`."""

import logging
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import ray.data

from actors.labeler import Labeler
from pipelines import teach_readers
from pipelines.teach_readers import Taught, device_name
from system.archive import Archive
from system.archive.tables import SCHEMAS
from system.reports.calibration import probability
from system.reports.config import ReportConfig
from system.reports.labelled import NOBODY, SIDES, WITHDRAWN, Lessons, Reports, plan_lessons, read_reports, unlabelled
from system.reports.measures import table_2
from system.reports.rules import read_by_rules
from system.reports.text import language
from system.runs import Manifest, Stage

log = logging.getLogger(__name__)

MODELS, LABELS, HELD_OUT = "models", "labels.parquet", "out_of_fold.parquet"
_ROWS_AT_ONCE = 20_000  # of `labels` in one upsert


@dataclass(frozen=True)
class Refreshed:
    """What labelling with models taught before came to, in reports."""

    num_read: int
    num_up_to_date: int
    num_withdrawn: int

    def line(self) -> str:
        """Return it for people."""
        return f"{self.num_read} reports labelled, {self.num_up_to_date} were up to date, {self.num_withdrawn} labels withdrawn"


def run(archive_uri: str, *, config: ReportConfig, stage: Stage) -> Manifest:
    """Teach the report models and bring `labels` up to date with the archive's reports; needs a running Ray.

    stage: files models/ (safetensors and JSON), labels.parquet (what was written into `labels`), out_of_fold.parquet (with the truth);
    metrics per side as system.reports.measures says, out of fold. A breast has p_mass null when its report was withdrawn, or names no side.
    Raises ValueError naming the setting when the encoder is not to be had, or when too little is annotated.
    """

    def label(attempt: Path) -> tuple[list[Path], dict[str, Any]]:
        started_s = time.monotonic()
        archive = Archive.open(archive_uri)
        versions = archive.versions()
        pinned = archive.pinned(versions)
        reports = read_reports(pinned.table("reports"), config=config)
        lessons = plan_lessons(reports, pinned.table("images"), pinned.table("masks"), config=config)
        log.info("%d reports, %d of them teach, %d name no side", len(reports), (lessons.folds >= 0).sum(), (~reports.named).sum())
        models = (attempt / MODELS).resolve()  # workers have other working directories
        taught = teach_readers.run(reports.sections, lessons, models, config=config)
        held_out = _held_out(reports, lessons, taught)
        pq.write_table(held_out, attempt / HELD_OUT)
        rest = np.flatnonzero((lessons.folds == NOBODY) & reports.named)
        labels = pa.concat_tables(
            [
                _as_labels(held_out, model=f"{taught.version}/held-out"),
                _read(reports, rest, np.full(len(rest), NOBODY, np.int8), models=models, version=taught.version, config=config),
                _silent(reports, np.flatnonzero(~reports.named), version=taught.version),
                _withdrawn(pinned.table("labels"), reports.studies),
            ]
        )
        pq.write_table(labels, attempt / LABELS)
        _write(archive, labels)
        metrics = _metrics(held_out) | {"temperatures": taught.facts.temperatures, "epochs": taught.epochs, "models": taught.version}
        metrics |= {"no_side": int((~reports.named).sum()), "seconds": round(time.monotonic() - started_s, 1)}
        files = sorted(path for path in attempt.rglob("*") if path.is_file())
        return files, {"rows": len(labels), "config": config.model_dump(), "archive_versions": versions, "metrics": metrics}

    return stage.once(label)


def refresh(archive_uri: str, *, config: ReportConfig, stage: Stage) -> Refreshed:
    """Label, with the models of a finished stage, the reports that came or changed since; needs a running Ray.

    A report that taught, or its next version, is read only by the models of its fold, which never saw it.
    """
    version = manifest_of(stage).metrics["models"]
    archive = Archive.open(archive_uri)
    reports, before = read_reports(archive.table("reports"), config=config), archive.table("labels")
    new = unlabelled(reports, before, models=version)
    named, silent = new[reports.named[new]], new[~reports.named[new]]
    held_out = pq.ParquetFile(stage.path(HELD_OUT)).read(["study_id", "fold"]).to_pandas()
    fold_of = dict(zip(held_out["study_id"], held_out["fold"], strict=True))
    folds = np.array([fold_of.get(reports.studies[index], NOBODY) for index in named], np.int8)
    models = stage.path("readers.json").parent.resolve()
    gone = _withdrawn(before, reports.studies)
    gone = gone.filter(pc.field("study_id").isin(before.filter(pc.field("p_mass").is_valid())["study_id"].to_pylist()))
    for start in range(0, max(1, len(named)), _ROWS_AT_ONCE):
        part = slice(start, start + _ROWS_AT_ONCE)
        _write(archive, _read(reports, named[part], folds[part], models=models, version=version, config=config))
        log.info("%d of %d new reports labelled", min(start + _ROWS_AT_ONCE, len(named)), len(named))
    _write(archive, pa.concat_tables([_silent(reports, silent, version=version), gone]))
    return Refreshed(len(new), len(reports) - len(new), len(set(gone["study_id"].to_pylist())))


def latest(out: Path) -> Stage | None:
    """Return the last finished labelling of a folder: labels, or labels_02 and so on after a --retrain."""
    finished = [stage for stage in _stages(out) if stage.manifest()]
    return finished[-1] if finished else None


def following(out: Path) -> Stage:
    """Return the labelling to do when new models are wanted: the first that is not finished."""
    return next((stage for stage in _stages(out) if not stage.manifest()), Stage(out, f"labels_{len(_stages(out)) + 1:02d}"))


def manifest_of(stage: Stage) -> Manifest:
    """Return a stage's manifest. Raises FileNotFoundError when it is not finished."""
    if manifest := stage.manifest():
        return manifest
    raise FileNotFoundError(
        f"{stage.name} under {stage.run.name} holds no finished report models: run `mammoloop label` without --only-new"
    )


def _stages(out: Path) -> list[Stage]:
    return [Stage(out, "labels"), *(Stage(out, path.name) for path in sorted(out.glob("labels_[0-9][0-9]")))]


def _held_out(reports: Reports, lessons: Lessons, taught: Taught) -> pa.Table:
    """Return both breasts of every labelled report as the models that never saw it read it.

    Columns study_id, version, side, language, fold, truth (1, 0, -1 not known), p_mass, p_raw (before calibration), p_rules (NaN: silent).
    """
    labelled = np.flatnonzero(lessons.folds != NOBODY)
    folds = lessons.folds[labelled]
    texts = [reports.sections[index] for index in labelled]
    by_rules = [read_by_rules(text) for text in texts]
    parts = []
    for column, side in enumerate(SIDES):
        margins, temperatures = taught.margins[labelled, column], np.array(taught.facts.held_out_temperatures[side.value])
        columns = {
            "study_id": [reports.studies[index] for index in labelled],
            "version": reports.versions[labelled],
            "side": [side.value] * len(labelled),
            "language": [language(f"{text.description} {text.impression}") for text in texts],
            "fold": folds,
            "truth": lessons.truth[labelled, column],
            "p_mass": probability(margins, temperatures[folds]),
            "p_raw": probability(margins, 1.0),
            "p_rules": np.array([read[side] for read in by_rules], np.float32),
        }
        parts.append(pa.table(columns))
    return pa.concat_tables(parts)


def _read(reports: Reports, those: np.ndarray, folds: np.ndarray, *, models: Path, version: str, config: ReportConfig) -> pa.Table:
    """Return the labels of reports, read by Labeler actors in batches of like length.

    those: [K] positions;  folds: [K], the one model that may read each, NOBODY = all of them
    """
    if not len(those):
        return SCHEMAS["labels"].empty_table()
    answers = ask_labelers(to_rows(reports, those, folds), models=models, config=config)
    return pa.concat_tables([part for batch in answers for part in _both_sides(batch, version=version)])


def to_rows(reports: Reports, those: np.ndarray, folds: np.ndarray) -> pa.Table:
    """Return what Labelers read: study_id, version, fold, description, impression, shortest first."""
    order = sorted(range(len(those)), key=lambda position: reports.sections[those[position]].length)
    chosen = those[order]
    return pa.table(
        {
            "study_id": pa.array([reports.studies[index] for index in chosen], pa.string()),
            "version": reports.versions[chosen],
            "fold": folds[order],
            "description": pa.array([reports.sections[index].description for index in chosen], pa.string()),
            "impression": pa.array([reports.sections[index].impression for index in chosen], pa.string()),
        }
    )


def ask_labelers(rows: pa.Table, *, models: Path, config: ReportConfig) -> Iterator[pa.Table]:
    """Give the answers of Labeler actors to rows as of `to_rows`: study_id, version, p_left, p_right."""
    answered = ray.data.from_arrow(rows).map_batches(
        Labeler,
        fn_constructor_kwargs={"models": str(models), "device": device_name(config.labeler_gpus)},
        batch_size=config.label_batch_size,
        batch_format="numpy",
        compute=ray.data.ActorPoolStrategy(size=config.num_labelers),
        num_cpus=config.labeler_cpus,
        num_gpus=config.labeler_gpus or None,
    )
    yield from answered.iter_batches(batch_size=None, batch_format="pyarrow")


def _both_sides(batch: pa.Table, *, version: str) -> Iterator[pa.Table]:
    for side, column in zip(SIDES, ("p_left", "p_right"), strict=True):
        yield _as_labels(
            batch.append_column("side", _all(side.value, len(batch))).rename_columns({column: "p_mass"}), model=f"{version}/mean"
        )


def _as_labels(table: pa.Table, *, model: str) -> pa.Table:
    """Return rows of `labels` from study_id, version, side and p_mass."""
    table = table.append_column("model", _all(model, len(table))).rename_columns({"version": "report_version"})
    return table.select(SCHEMAS["labels"].names).cast(SCHEMAS["labels"])


def _silent(reports: Reports, those: np.ndarray, *, version: str) -> pa.Table:
    """Return labels without a probability for reports that do not say which breast they speak of."""
    parts = [
        pa.table(
            {
                "study_id": pa.array([reports.studies[index] for index in those], pa.string()),
                "version": reports.versions[those],
                "side": _all(side.value, len(those)),
                "p_mass": pa.nulls(len(those), pa.float32()),
            }
        )
        for side in SIDES
    ]
    return _as_labels(pa.concat_tables(parts), model=f"{version}/no-side")


def _withdrawn(labels: pa.Table, studies: list[str]) -> pa.Table:
    """Return the labels, now without a probability, of studies that had one and have no report any more."""
    gone = labels.filter(~pc.field("study_id").isin(studies))
    for name, column in (("p_mass", pa.nulls(len(gone), pa.float32())), ("model", _all(WITHDRAWN, len(gone)))):
        gone = gone.set_column(gone.schema.get_field_index(name), name, column)
    return gone.cast(SCHEMAS["labels"])


def _write(archive: Archive, labels: pa.Table) -> None:
    for start in range(0, len(labels), _ROWS_AT_ONCE):
        archive.upsert("labels", labels.slice(start, _ROWS_AT_ONCE))


def _metrics(held_out: pa.Table) -> dict[str, Any]:
    """Return each side's measures over the labelled breasts, and log the rows of seed 000's table 2."""
    found = {}
    for side in SIDES:
        rows = held_out.filter((pc.field("side") == side.value) & (pc.field("truth") >= 0))
        measures = found[side.name.lower()] = table_2(rows)
        log.info(
            "%s, out of fold over %d breasts: average F1 %.4f, weighted F1 %.4f, accuracy %.4f, AUROC %.4f, ECE %.4f; beyond p0 %s",
            *(side.name.lower(), measures["num_breasts"], measures["average_f1"], measures["weighted_f1"]),
            *(measures["accuracy"], measures["auroc"], measures["ece"], measures["coverage"]),
        )
    return found


def _all(text: str, count: int) -> pa.Array:
    return pa.repeat(text, count)
