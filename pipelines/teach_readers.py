"""Fine-tune the report models, one per side and fold, as Ray tasks side by side."""

import logging
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import ray

from system.reports.calibration import fit_temperatures
from system.reports.config import ReportConfig
from system.reports.folder import ENCODER, ReaderFacts, model_folder, save_readers
from system.reports.labelled import SIDES, Lessons
from system.reports.source import find_encoder
from system.reports.text import Sections

log = logging.getLogger(__name__)

_TASK_RETRIES = 3


@dataclass(frozen=True)
class Taught:
    """What teaching gives beside the models' folder."""

    version: str  # names the models, e.g. in `labels`
    margins: np.ndarray  # [N, 2] float32: of the labelled reports, by the model that had not seen them; NaN for the others
    facts: ReaderFacts
    epochs: dict[str, int]  # model's folder -> the epoch whose weights were kept


def run(reports: list[Sections], lessons: Lessons, models: Path, *, config: ReportConfig) -> Taught:
    """Teach two sides times num_folds models into a new folder; needs a running Ray.

    models: absolute, seen by all workers. Raises ValueError naming the setting when the encoder is not to be had.
    """
    source = find_encoder(config.encoder)
    resources = {"num_cpus": config.fit_cpus, "num_gpus": config.fit_gpus, "max_retries": _TASK_RETRIES}
    models.mkdir()
    shared = ray.put(reports)
    ray.get(ray.remote(_build).options(**resources).remote(shared, models / ENCODER, source, config))
    teach = ray.remote(_teach_one).options(**resources)
    jobs = [(fold, column) for fold in range(config.num_folds) for column in range(len(SIDES))]
    tasks = (teach.remote(shared, lessons, fold, column, models, config) for fold, column in jobs)
    margins, epochs = np.full((len(reports), len(SIDES)), np.nan, np.float32), {}
    for number, ((fold, column), (answer, epoch)) in enumerate(
        zip(jobs, _in_turn(tasks, at_once=config.fits_at_once), strict=True), start=1
    ):
        margins[lessons.held_out(fold), column] = answer
        epochs[model_folder(SIDES[column], fold)] = epoch
        log.info("report model %s of fold %d is taught, kept epoch %d (%d of %d)", SIDES[column], fold, epoch, number, len(jobs))
    facts = _facts(lessons, margins, config)
    return Taught(save_readers(models, facts), margins, facts, epochs)


def _build(reports: list[Sections], folder: Path, source: str, config: ReportConfig) -> None:
    from system.reports.encoder import build_encoder

    with _one_thread():
        build_encoder(folder, source, reports, config=config, device=device_name(config.fit_gpus))


def _teach_one(
    reports: list[Sections], lessons: Lessons, fold: int, column: int, models: Path, config: ReportConfig
) -> tuple[np.ndarray, int]:
    """Teach one model and save it; return its margins for the labelled reports it did not see, [K] float32, and the epoch kept."""
    from system.reports.encoder import load_classifier
    from system.reports.finetune import Lesson, ask, fit
    from system.reports.tokens import load_tokenizer

    those, held_out = lessons.teaching(fold), lessons.held_out(fold)
    watching = lessons.watching(fold, config=config)
    lesson = Lesson(SIDES[column], fold, [reports[index] for index in those], lessons.truth[those], watching)
    with _one_thread():
        device = device_name(config.fit_gpus)
        epoch = fit(lesson, models / ENCODER, models / lesson.name, config=config, device=device)
        model, tokenizer = load_classifier(models / lesson.name, device=device), load_tokenizer(models / ENCODER)
        asked = [reports[index] for index in held_out]
        return ask([model], tokenizer, asked, max_tokens=config.max_tokens, batch_size=config.label_batch_size)[0], epoch


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


def device_name(num_gpus: float) -> str:
    """Return torch's name for what Ray gave."""
    return "cuda" if num_gpus else "cpu"


def _in_turn(tasks: Iterator[ray.ObjectRef], *, at_once: int) -> Iterator[Any]:
    """Give the tasks' answers in their order, with at most so many of them submitted and unanswered."""
    waiting: deque[ray.ObjectRef] = deque(islice(tasks, at_once))
    while waiting:
        yield ray.get(waiting.popleft())
        waiting.extend(islice(tasks, 1))


def _facts(lessons: Lessons, margins: np.ndarray, config: ReportConfig) -> ReaderFacts:
    models = {side.value: [model_folder(side, fold) for fold in range(config.num_folds)] for side in SIDES}
    later, held_out = {}, {}
    for column, side in enumerate(SIDES):
        known = lessons.truth[:, column] >= 0
        truth, folds = lessons.truth[known, column], lessons.folds[known]
        later[side.value], held_out[side.value] = fit_temperatures(margins[known, column], truth, folds, num_folds=config.num_folds)
    return ReaderFacts(models, later, held_out, max_tokens=config.max_tokens, batch_size=config.label_batch_size)
