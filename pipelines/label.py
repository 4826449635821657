"""Label: teach six encoders on the annotated women's reports, then read every report of the archive into `labels`."""

import logging
import time
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import ray
import ray.data

from actors.labeler import Labeler
from system.archive import Archive
from system.archive.tables import SCHEMAS
from system.reports.calibration import fit_temperature, probability
from system.reports.config import ReportConfig
from system.reports.folder import ENCODER, ReaderFacts, model_folder, save_readers
from system.reports.labelled import SIDES, WITHDRAWN, ReportSet, read_reports
from system.reports.measures import measure
from system.reports.source import find_encoder
from system.reports.text import Sections
from system.runs import Manifest, Stage

log = logging.getLogger(__name__)

MODELS, LABELS, HELD_OUT = "models", "labels.parquet", "out_of_fold.parquet"
_READ = ("reports", "images", "masks")
_ROWS_AT_ONCE = 20_000  # of `labels` in one upsert
_TASK_RETRIES = 3


def run(archive_uri: str, *, config: ReportConfig, stage: Stage) -> Manifest:
    """Bring `labels` up to date with the archive's reports; needs a running Ray.

    stage: files models/ (safetensors and JSON), labels.parquet (what was written into `labels`), out_of_fold.parquet (with the truth);
    metrics per side as system.reports.measures says, out of fold. A breast whose report was withdrawn since has p_mass null.
    Raises ValueError naming the setting when the encoder is not to be had, or when too little is annotated.
    """

    def label(attempt: Path) -> tuple[list[Path], dict[str, Any]]:
        started_s = time.monotonic()
        archive = Archive.open(archive_uri)
        versions = archive.versions()
        pinned = archive.pinned(versions)
        everything = read_reports(*(pinned.table(name) for name in _READ), config=config)
        log.info("%d reports, %d of them teach", len(everything.studies), int((everything.folds >= 0).sum()))
        models = (attempt / MODELS).resolve()  # workers have other working directories
        margins = _teach(everything, models, config=config)
        temperatures = _temperatures(everything, margins)
        version = save_readers(models, _facts(temperatures, config))
        held_out = _held_out(everything, margins, temperatures)
        pq.write_table(held_out, attempt / HELD_OUT)
        labels = pa.concat_tables(
            [
                held_out.drop(["truth", "fold"]).append_column("model", _all(f"{version}/held-out", len(held_out))),
                _read_rest(everything, models, version=f"{version}/mean", config=config),
                _withdrawn(pinned.table("labels"), everything.studies),
            ]
        ).cast(SCHEMAS["labels"])
        pq.write_table(labels, attempt / LABELS)
        for start in range(0, len(labels), _ROWS_AT_ONCE):
            archive.upsert("labels", labels.slice(start, _ROWS_AT_ONCE))
        metrics = _metrics(held_out) | {"temperatures": temperatures, "seconds": round(time.monotonic() - started_s, 1)}
        files = sorted(path for path in attempt.rglob("*") if path.is_file())
        return files, {"rows": len(labels), "config": config.model_dump(), "archive_versions": versions, "metrics": metrics}

    return stage.once(label)


def _teach(everything: ReportSet, models: Path, *, config: ReportConfig) -> np.ndarray:
    """Fine-tune a model per side and fold as Ray tasks; return margins [N, 2] float32 of the labelled reports, NaN for the others.

    The margin of a report comes from the fold that never saw it.
    """
    source = find_encoder(config.encoder)
    resources = {"num_cpus": config.fit_cpus, "num_gpus": config.fit_gpus, "max_retries": _TASK_RETRIES}
    models.mkdir()
    reports = ray.put(everything.reports)
    ray.get(ray.remote(_build).options(**resources).remote(reports, models / ENCODER, source, config))
    teach = ray.remote(_teach_one).options(**resources)
    jobs = [(fold, column) for fold in range(config.num_folds) for column in range(len(SIDES))]
    tasks = (teach.remote(reports, everything.truth, everything.folds, fold, column, models, config) for fold, column in jobs)
    margins = np.full((len(everything.studies), len(SIDES)), np.nan, np.float32)
    for (fold, column), answer in zip(jobs, _in_turn(tasks, at_once=config.fits_at_once), strict=True):
        margins[everything.held_out(fold), column] = answer
        log.info("report model %s of fold %d is taught (%d of %d)", SIDES[column], fold, jobs.index((fold, column)) + 1, len(jobs))
    return margins


def _build(reports: list[Sections], folder: Path, source: str, config: ReportConfig) -> None:
    from system.reports.encoder import build_encoder

    with _one_thread():
        build_encoder(folder, source, reports, config=config, device=_device(config.fit_gpus))


def _teach_one(  # noqa: PLR0913, PLR0917 - a Ray task's arguments: shared objects first, then what tells this task from the others
    reports: list[Sections], truth: np.ndarray, folds: np.ndarray, fold: int, column: int, models: Path, config: ReportConfig
) -> np.ndarray:
    """Teach one model, save it, and return its margins for the labelled reports it did not see, [K] float32."""
    from system.reports.encoder import load_classifier
    from system.reports.finetune import Lesson, ask, fit
    from system.reports.tokens import load_tokenizer

    everything = ReportSet([], reports, truth, folds)
    teaching, held_out = everything.teaching(fold), everything.held_out(fold)
    lesson = Lesson(SIDES[column], fold, [reports[index] for index in teaching], truth[teaching])
    with _one_thread():
        device = _device(config.fit_gpus)
        fit(lesson, models / ENCODER, models / lesson.name, config=config, device=device)
        model, tokenizer = load_classifier(models / lesson.name, device=device), load_tokenizer(models / ENCODER)
        return ask(
            model, tokenizer, [reports[index] for index in held_out], max_tokens=config.max_tokens, batch_size=config.label_batch_size
        )


@contextmanager
def _one_thread() -> Iterator[None]:
    """Compute on one thread, so that sums are taken in the same order on every machine, and put the worker back as it was."""
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def _device(num_gpus: float) -> str:
    return "cuda" if num_gpus else "cpu"


def _in_turn(tasks: Iterator[ray.ObjectRef], *, at_once: int) -> Iterator[Any]:
    """Give the tasks' answers in their order, with at most so many of them submitted and unanswered."""
    waiting: deque[ray.ObjectRef] = deque(islice(tasks, at_once))
    while waiting:
        yield ray.get(waiting.popleft())
        waiting.extend(islice(tasks, 1))


def _temperatures(everything: ReportSet, margins: np.ndarray) -> dict[str, float]:
    """Return each side's temperature, fitted on the answers of models that had not seen the report."""
    known = everything.truth >= 0
    return {
        side.value: fit_temperature(margins[known[:, column], column], everything.truth[known[:, column], column])
        for column, side in enumerate(SIDES)
    }


def _facts(temperatures: dict[str, float], config: ReportConfig) -> ReaderFacts:
    models = {side.value: [model_folder(side, fold) for fold in range(config.num_folds)] for side in SIDES}
    return ReaderFacts(models, temperatures, max_tokens=config.max_tokens, batch_size=config.label_batch_size)


def _held_out(everything: ReportSet, margins: np.ndarray, temperatures: dict[str, float]) -> pa.Table:
    """Return both breasts of every labelled report as the models that never saw it read it.

    Columns study_id, side, p_mass, truth (1, 0, -1 not known), fold.
    """
    labelled = np.flatnonzero(everything.folds >= 0)
    parts = [
        pa.table(
            {
                "study_id": pa.array([everything.studies[index] for index in labelled], pa.string()),
                "side": _all(side.value, len(labelled)),
                "p_mass": probability(margins[labelled, column], temperatures[side.value]),
                "truth": everything.truth[labelled, column],
                "fold": everything.folds[labelled],
            }
        )
        for column, side in enumerate(SIDES)
    ]
    return pa.concat_tables(parts)


def _read_rest(everything: ReportSet, models: Path, *, version: str, config: ReportConfig) -> pa.Table:
    """Return study_id, side, p_mass, model of the reports no model was taught, read by Labeler actors in batches of like length."""
    rest = sorted(np.flatnonzero(everything.folds < 0), key=lambda index: everything.reports[index].length)
    if not rest:
        return SCHEMAS["labels"].empty_table()
    rows = pa.table(
        {
            "study_id": pa.array([everything.studies[index] for index in rest], pa.string()),
            "description": pa.array([everything.reports[index].description for index in rest], pa.string()),
            "impression": pa.array([everything.reports[index].impression for index in rest], pa.string()),
        }
    )
    answered = ray.data.from_arrow(rows).map_batches(
        Labeler,
        fn_constructor_kwargs={"models": str(models), "device": _device(config.labeler_gpus)},
        batch_size=config.label_batch_size,
        batch_format="numpy",
        compute=ray.data.ActorPoolStrategy(size=config.num_labelers),
        num_cpus=config.labeler_cpus,
        num_gpus=config.labeler_gpus or None,
    )
    parts = [
        part for batch in answered.iter_batches(batch_size=None, batch_format="pyarrow") for part in _both_sides(batch, version=version)
    ]
    return pa.concat_tables(parts)


def _both_sides(batch: pa.Table, *, version: str) -> Iterator[pa.Table]:
    for side, column in zip(SIDES, ("p_left", "p_right"), strict=True):
        named = {
            "study_id": batch["study_id"],
            "side": _all(side.value, len(batch)),
            "p_mass": batch[column],
            "model": _all(version, len(batch)),
        }
        yield pa.table(named).cast(SCHEMAS["labels"])


def _withdrawn(labels: pa.Table, studies: list[str]) -> pa.Table:
    """Return the labels, now without a probability, of studies that had one and have no report any more."""
    gone = labels.filter(~pc.field("study_id").isin(studies))
    return gone.set_column(2, "p_mass", pa.nulls(len(gone), pa.float32())).set_column(3, "model", _all(WITHDRAWN, len(gone)))


def _metrics(held_out: pa.Table) -> dict[str, Any]:
    """Return each side's measures over the labelled breasts, and log the rows of seed 000's table 2."""
    found = {}
    for side in SIDES:
        rows = held_out.filter((pc.field("side") == side.value) & (pc.field("truth") >= 0))
        measures = found[side.name.lower()] = measure(rows["truth"].to_numpy(), rows["p_mass"].to_numpy())
        log.info(
            "%s, out of fold over %d breasts: average F1 %.4f, weighted F1 %.4f, accuracy %.4f, AUROC %.4f; beyond p0 %s",
            *(side.name.lower(), measures["num_breasts"], measures["average_f1"], measures["weighted_f1"]),
            *(measures["accuracy"], measures["auroc"], measures["coverage"]),
        )
    return found


def _all(text: str, count: int) -> pa.Array:
    return pa.repeat(text, count)
