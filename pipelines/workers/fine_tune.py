"""Fine-tune the report models, one per side and fold, as Ray tasks side by side."""

import logging
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import TypeVar

import numpy as np
import ray

from system.place import PLACE
from system.reports.annotated import NO_FOLD, SIDES, TrainingReports
from system.reports.calibration import fit_temperatures
from system.reports.config import ReportConfig
from system.reports.folder import ENCODER, ReportModelCard, model_folder, save_report_models
from system.reports.rule_rates import RuleRates, fit_rates_of_folds, rule_answers
from system.reports.source import find_encoder
from system.reports.text import Sections
from system.resources import ReportResources

log = logging.getLogger(__name__)

_TASK_RETRIES = 3
Answer = TypeVar("Answer")


@dataclass(frozen=True)
class FineTuneResult:
    """What fine-tuning gives beside the models' folder."""

    version: str  # names the models, e.g. in `labels`
    # [N, 2] float32: of the annotated reports, by the model that had not seen them; NaN for the others.
    margins: np.ndarray
    card: ReportModelCard
    epochs: dict[str, int]  # folder of a model -> the epoch whose weights were kept


@dataclass(frozen=True)
class _Setting:
    """What all fine-tunes share; travels to the workers."""

    training: TrainingReports
    models: Path  # folder, absolute
    config: ReportConfig
    device: str  # torch's name


def run(
    reports: list[Sections],
    training: TrainingReports,
    models: Path,
    *,
    config: ReportConfig,
    resources: ReportResources,
) -> FineTuneResult:
    """Fine-tune two sides times num_folds models into a new folder; needs a running Ray.

    models: absolute, seen by all workers. Raises UserError naming the setting when the encoder is not to be had.
    """
    source = find_encoder(config.encoder)
    options = {"num_cpus": resources.fit_cpus, "num_gpus": resources.fit_gpus, "max_retries": _TASK_RETRIES}
    models.mkdir()
    setting = _Setting(training, models, config, device_name(resources.fit_gpus))
    shared = ray.put(reports)
    ray.get(ray.remote(_build).options(**options).remote(shared, source, setting))
    fine_tune = ray.remote(_fine_tune_one).options(**options)
    jobs = [(fold, column) for fold in range(config.num_folds) for column in range(len(SIDES))]
    tasks = (fine_tune.remote(shared, setting, fold, column) for fold, column in jobs)
    margins, epochs = np.full((len(reports), len(SIDES)), np.nan, np.float32), {}
    finished = zip(jobs, _in_turn(tasks, at_once=resources.fits_at_once), strict=True)
    for number, ((fold, column), (predicted, epoch)) in enumerate(finished, start=1):
        margins[training.held_out(fold), column] = predicted
        epochs[model_folder(SIDES[column], fold)] = epoch
        PLACE.how_far = f"{number} of {len(jobs)} report models"
        log.info("report model %s of fold %d: kept epoch %d (%d of %d)", SIDES[column], fold, epoch, number, len(jobs))
    card = _card(reports, training, margins, config)
    return FineTuneResult(save_report_models(models, card), margins, card, epochs)


def _build(reports: list[Sections], source: str, setting: _Setting) -> None:
    """Bring the encoder and its tokenizer into the models' folder."""
    from system.reports.encoder import build_encoder

    with _one_thread():
        build_encoder(setting.models / ENCODER, source, reports, config=setting.config, device=setting.device)


def _fine_tune_one(reports: list[Sections], setting: _Setting, fold: int, column: int) -> tuple[np.ndarray, int]:
    """Fine-tune and save one model; return its margins for the reports it did not see, [K] float32, and its epoch."""
    from system.reports.encoder import load_classifier
    from system.reports.finetune import FineTuneJob, fit, predict_margins
    from system.reports.tokens import load_tokenizer

    training, models, config = setting.training, setting.models, setting.config
    members, held_out = training.trained_on(fold), training.held_out(fold)
    job = FineTuneJob(
        SIDES[column],
        fold,
        [reports[index] for index in members],
        training.truth[members],
        training.early_stopping(fold, config=config),
    )
    with _one_thread():
        epoch = fit(job, models / ENCODER, models / job.name, config=config, device=setting.device)
        model, tokenizer = load_classifier(models / job.name, device=setting.device), load_tokenizer(models / ENCODER)
        unseen = [reports[index] for index in held_out]
        sizes = {"max_tokens": config.max_tokens, "batch_size": config.label_batch_size}
        return predict_margins([model], tokenizer, unseen, **sizes)[0], epoch


@contextmanager
def _one_thread() -> Iterator[None]:
    """Compute on one thread, so that sums have the same order on every machine; restore the worker afterwards."""
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def device_name(num_gpus: float) -> str:
    """Return torch's name for the device that Ray gave."""
    return "cuda" if num_gpus else "cpu"


def _in_turn(tasks: Iterator["ray.ObjectRef[Answer]"], *, at_once: int) -> Iterator[Answer]:
    """Give the tasks' answers in their order, with at most so many of them submitted and unanswered."""
    waiting = deque(islice(tasks, at_once))
    while waiting:
        yield ray.get(waiting.popleft())
        waiting.extend(islice(tasks, 1))


def _card(
    reports: list[Sections], training: TrainingReports, margins: np.ndarray, config: ReportConfig
) -> ReportModelCard:
    models = {side.value: [model_folder(side, fold) for fold in range(config.num_folds)] for side in SIDES}
    temperatures: dict[str, list[float]] = {}
    held_out: dict[str, list[float]] = {}
    for column, side in enumerate(SIDES):
        known = training.truth[:, column] >= 0
        truth, folds = training.truth[known, column], training.folds[known]
        temperatures[side.value], held_out[side.value] = (
            fit_temperatures(margins[known, column], truth, folds, num_folds=config.num_folds)
            if config.calibrated
            else ([1.0] * config.num_folds, [1.0] * config.num_folds)
        )
    sizes: dict[str, int] = {"max_tokens": config.max_tokens, "batch_size": config.label_batch_size}
    return ReportModelCard(models, temperatures, held_out, config.labels, *_rule_rates(reports, training), **sizes)


def _rule_rates(reports: list[Sections], training: TrainingReports) -> tuple[RuleRates, list[RuleRates]]:
    """Return what the rules' answers are worth, by the annotated breasts of both sides."""
    annotated = np.flatnonzero(training.folds != NO_FOLD)
    answers = rule_answers([reports[index] for index in annotated])
    both = np.stack([answers[side] for side in SIDES], axis=1)  # [K, 2], as the truth
    truth = training.truth[annotated]
    known, folds = truth >= 0, np.broadcast_to(training.folds[annotated, None], truth.shape)
    num_folds = int(training.folds.max()) + 1
    return fit_rates_of_folds(both[known], truth[known], folds[known], num_folds=num_folds)
