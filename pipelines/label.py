"""Label: fine-tune six encoders on the annotated patients' reports, then label every report of the archive."""

import logging
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple, cast

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import ray.data

from actors.labeler import Labeler
from pipelines import room
from pipelines.workers import fine_tune
from pipelines.workers.fine_tune import FineTuneResult, device_name
from pipelines.workers.restarts import by_actors
from system.archive import Archive
from system.archive.tables import SCHEMAS
from system.errors import UserError
from system.files.parquet import read_table, write_table
from system.reports.annotated import (
    NO_FOLD,
    SIDES,
    WITHDRAWN,
    Reports,
    TrainingReports,
    plan_training,
    read_reports,
    unlabelled,
)
from system.reports.calibration import probability
from system.reports.config import ReportConfig
from system.reports.folder import CARD
from system.reports.measures import SideMeasures, compare_sources, measure_side
from system.reports.rule_rates import LabelSource, choose, rule_answers, rule_probabilities
from system.reports.text import language
from system.resources import ReportResources
from system.run.results import LabelResult
from system.run.stage import Stage, Written

log = logging.getLogger(__name__)

MODELS, LABELS, HELD_OUT = "models", "labels.parquet", "out_of_fold.parquet"
_ROWS_AT_ONCE = 20_000  # of `labels` in one upsert


class _Made(NamedTuple):
    """How a label was made, as column `model` of `labels` ends."""

    later: str  # of a report that trained no model
    held_out: str  # of an annotated report


_MADE: dict[LabelSource, _Made] = {
    "models": _Made("mean", "held-out"),
    "rules": _Made("rules", "rules-held-out"),
    "mean": _Made("mean-with-rules", "mean-with-rules-held-out"),
}


@dataclass(frozen=True)
class LabelRefresh:
    """What labelling with finished models came to, in reports."""

    num_labelled: int
    num_up_to_date: int
    num_withdrawn: int

    def line(self) -> str:
        """Return it for people."""
        return (
            f"{self.num_labelled} reports labelled, {self.num_up_to_date} were up to date, "
            f"{self.num_withdrawn} labels withdrawn"
        )


def run(
    archive_uri: str, *, config: ReportConfig, resources: ReportResources, stage: Stage[LabelResult]
) -> LabelResult:
    """Fine-tune the report models and bring `labels` up to date with the archive's reports; needs a running Ray.

    A finished stage is taken over as it is, whatever the resources.

    stage: files models/ (safetensors and JSON), labels.parquet (rows written into `labels`), out_of_fold.parquet
    (with the truth). A breast has p_mass null when its report was withdrawn, or names no side.
    Raises UserError naming the setting when the encoder is not to be had, when too little is annotated, or when the
    finished stage was done with other settings.
    """
    stage.check_settings(config, above="reports")

    def label(attempt: Path) -> Written[LabelResult]:
        room.check_labelling(resources)
        archive = Archive.open(archive_uri)
        versions = archive.versions()
        pinned = archive.pinned(versions)
        reports = read_reports(pinned.table("reports"), config=config)
        training = plan_training(reports, pinned.table("images"), pinned.table("masks"), config=config)
        num_no_side = int((~reports.named).sum())
        log.info(
            "%d reports, %d of them annotated, %d name no side", len(reports), (training.folds >= 0).sum(), num_no_side
        )
        models = (attempt / MODELS).resolve()  # workers have other working directories
        tuned = fine_tune.run(reports.sections, training, models, config=config, resources=resources)
        held_out = _held_out(reports, training, tuned)
        write_table(held_out, attempt / HELD_OUT)
        rest = np.flatnonzero((training.folds == NO_FOLD) & reports.named)
        labeling = Labeling(models, tuned.version, config, resources)
        labels = pa.concat_tables(
            [
                _as_labels(held_out, model=f"{tuned.version}/{_MADE[config.labels].held_out}"),
                _label(reports, rest, np.full(len(rest), NO_FOLD, np.int8), labeling),
                _without_side(reports, np.flatnonzero(~reports.named), version=tuned.version),
                _withdrawn(pinned.table("labels"), reports.studies),
            ]
        )
        write_table(labels, attempt / LABELS)
        _write(archive, labels)
        result = LabelResult(
            models=tuned.version,
            sides=_measure(held_out),
            temperatures=tuned.card.temperatures,
            epochs=tuned.epochs,
            num_labels=len(labels),
            num_no_side=num_no_side,
            labels=config.labels,
            rules=tuned.card.rules,
        )
        _log_comparison(result)
        files = sorted(path for path in attempt.rglob("*") if path.is_file())
        return Written(
            result, files=files, settings=config, archive_versions=versions, summary=f"{len(labels)} breasts labelled"
        )

    return stage.once(label, amount=f"{len(SIDES) * config.num_folds} report models")


def refresh(
    archive_uri: str, *, config: ReportConfig, resources: ReportResources, stage: Stage[LabelResult]
) -> LabelRefresh:
    """Label, with the models of a finished stage, the reports that came or changed since; needs a running Ray.

    A report that a model was fine-tuned on, or its next version, is read only by the models of its fold, which never
    saw it. Raises UserError when the stage was done with other settings.
    """
    stage.check_settings(config, above="reports")
    version = stage.result().models
    archive = Archive.open(archive_uri)
    reports, before = read_reports(archive.table("reports"), config=config), archive.table("labels")
    room.check_labelling(resources)
    new = unlabelled(reports, before, models=version)
    named, without_side = new[reports.named[new]], new[~reports.named[new]]
    held_out = read_table(stage.path(HELD_OUT), columns=["study_id", "fold"]).to_pandas()
    fold_of = dict(zip(held_out["study_id"], held_out["fold"], strict=True))
    folds = np.array([fold_of.get(reports.studies[index], NO_FOLD) for index in named], np.int8)
    labeling = Labeling(stage.path(CARD).parent.resolve(), version, config, resources)
    gone = _withdrawn(before, reports.studies)
    had_one = before.filter(pc.field("p_mass").is_valid())["study_id"].to_pylist()
    gone = gone.filter(pc.field("study_id").isin(had_one))
    for start in range(0, max(1, len(named)), _ROWS_AT_ONCE):
        part = slice(start, start + _ROWS_AT_ONCE)
        _write(archive, _label(reports, named[part], folds[part], labeling))
        log.info("%d of %d new reports labelled", min(start + _ROWS_AT_ONCE, len(named)), len(named))
    _write(archive, pa.concat_tables([_without_side(reports, without_side, version=version), gone]))
    return LabelRefresh(len(new), len(reports) - len(new), len(set(gone["study_id"].to_pylist())))


def check_current(archive_uri: str, *, stage: Stage[LabelResult]) -> None:
    """Raise UserError when the archive's `labels` are not those that the finished stage has written.

    So it is where other report models have labelled since, and in another archive than the stage's.
    """
    result, labels = stage.result(), Archive.open(archive_uri).table("labels")
    writers = {str(model).partition("/")[0] for model in pc.unique(labels["model"]).to_pylist()}
    remedy = "`mammoloop label --only-new` with the same --out has this run's models read its reports"
    if others := sorted(writers - {result.models, WITHDRAWN}):
        raise UserError(
            f"the archive has labels of other report models ({', '.join(others)}) than {stage.name} of run "
            f"{stage.run.name} ({result.models}), so a run would mix them: {remedy} again"
        )
    if result.num_labels and result.models not in writers:
        raise UserError(
            f"the archive has no label of {stage.name} of run {stage.run.name} ({result.models}), which labelled "
            f"another archive: name that one; or {remedy}"
        )


@dataclass(frozen=True)
class Labeling:
    """Which models read the reports, and with what."""

    models: Path  # folder, absolute
    version: str  # of the models, as column `model` of `labels` begins
    config: ReportConfig
    resources: ReportResources


def _held_out(reports: Reports, training: TrainingReports, tuned: FineTuneResult) -> pa.Table:
    """Return both breasts of every annotated report as the models that never saw it read it.

    Columns study_id, version, side, language, fold, truth (1, 0, -1 not known), p_models, p_raw (before calibration),
    rules (1 found, 0 none, NaN silent), p_rules (what that answer stands for), p_mass (the label, as reports.labels has
    it).
    """
    annotated = np.flatnonzero(training.folds != NO_FOLD)
    folds = training.folds[annotated]
    texts = [reports.sections[index] for index in annotated]
    answers, card = rule_answers(texts), tuned.card
    parts = []
    for column, side in enumerate(SIDES):
        margins, temperatures = (
            tuned.margins[annotated, column],
            np.array(card.held_out_temperatures[side.value]),
        )
        p_models = probability(margins, temperatures[folds])
        p_rules = rule_probabilities(answers[side], folds, later=card.rules, held_out=card.held_out_rules)
        columns = {
            "study_id": [reports.studies[index] for index in annotated],
            "version": reports.versions[annotated],
            "side": [side.value] * len(annotated),
            "language": [language(f"{text.description} {text.impression}") for text in texts],
            "fold": folds,
            "truth": training.truth[annotated, column],
            "p_models": p_models,
            "p_raw": probability(margins, 1.0),
            "rules": answers[side],
            "p_rules": p_rules,
            "p_mass": choose(card.labels, models=p_models, rules=p_rules),
        }
        parts.append(pa.table(columns))
    return pa.concat_tables(parts)


def _label(reports: Reports, rows: np.ndarray, folds: np.ndarray, labeling: Labeling) -> pa.Table:
    """Return the labels of reports, read by Labeler actors in batches of like length.

    rows: [K] positions of the reports
    folds: [K], the fold of the one model that may read each, NO_FOLD = all models
    """
    if not len(rows):
        return SCHEMAS["labels"].empty_table()
    answers = read_by_labelers(to_rows(reports, rows, folds), labeling)
    model = f"{labeling.version}/{_MADE[labeling.config.labels].later}"
    return pa.concat_tables([part for batch in answers for part in _both_sides(batch, model=model)])


def to_rows(reports: Reports, rows: np.ndarray, folds: np.ndarray) -> pa.Table:
    """Return what Labelers read: study_id, version, fold, description, impression, shortest first."""
    order = sorted(range(len(rows)), key=lambda position: reports.sections[rows[position]].length)
    chosen = rows[order]
    return pa.table(
        {
            "study_id": pa.array([reports.studies[index] for index in chosen], pa.string()),
            "version": reports.versions[chosen],
            "fold": folds[order],
            "description": pa.array([reports.sections[index].description for index in chosen], pa.string()),
            "impression": pa.array([reports.sections[index].impression for index in chosen], pa.string()),
        }
    )


def read_by_labelers(rows: pa.Table, labeling: Labeling) -> Iterator[pa.Table]:
    """Give the answers of Labeler actors to rows as of `to_rows`: study_id, version, p_left, p_right."""
    config, resources = labeling.config, labeling.resources
    answered = by_actors(
        ray.data.from_arrow(rows),
        Labeler,
        fn_constructor_kwargs={"models": str(labeling.models), "device": device_name(resources.labeler_gpus)},
        batch_size=config.label_batch_size,
        batch_format="numpy",
        compute=ray.data.ActorPoolStrategy(size=resources.num_labelers),
        num_cpus=resources.labeler_cpus,
        num_gpus=resources.labeler_gpus or None,
    )
    yield from cast("Iterable[pa.Table]", answered.iter_batches(batch_size=None, batch_format="pyarrow"))


def _both_sides(batch: pa.Table, *, model: str) -> Iterator[pa.Table]:
    for side, column in zip(SIDES, ("p_left", "p_right"), strict=True):
        yield _as_labels(
            batch.append_column("side", _all(side.value, len(batch))).rename_columns({column: "p_mass"}),
            model=model,
        )


def _as_labels(table: pa.Table, *, model: str) -> pa.Table:
    """Return rows of `labels` from study_id, version, side and p_mass."""
    table = table.append_column("model", _all(model, len(table))).rename_columns({"version": "report_version"})
    return table.select(SCHEMAS["labels"].names).cast(SCHEMAS["labels"])


def _without_side(reports: Reports, rows: np.ndarray, *, version: str) -> pa.Table:
    """Return labels without a probability for reports that do not say which breast they speak of."""
    parts = [
        pa.table(
            {
                "study_id": pa.array([reports.studies[index] for index in rows], pa.string()),
                "version": reports.versions[rows],
                "side": _all(side.value, len(rows)),
                "p_mass": pa.nulls(len(rows), pa.float32()),
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


def _measure(held_out: pa.Table) -> dict[str, SideMeasures]:
    """Return each side's measures over the annotated breasts, and log the rows of table 2 of Tang et al. 2021."""
    found: dict[str, SideMeasures] = {}
    for side in SIDES:
        rows = held_out.filter((pc.field("side") == side.value) & (pc.field("truth") >= 0))
        found[side.name.lower()] = measure_side(rows)
        models = found[side.name.lower()].models
        log.info(
            "%s, out of fold over %d breasts: average F1 %.4f, weighted F1 %.4f, accuracy %.4f, AUROC %.4f, "
            "ECE %.4f; %s",
            *(side.name.lower(), models.num_breasts, models.average_f1, models.weighted_f1),
            *(models.accuracy, models.auroc, models.ece),
            ", ".join(f"{share:.3f} beyond p0 {p0}" for p0, share in models.coverage.items()),
        )
    return found


def _log_comparison(result: LabelResult) -> None:
    """Log how well models, rules and their mean fit the annotated breasts; a warning where others fit better."""
    found = compare_sources(result.sides, labels=result.labels)
    (log.info if found.best == result.labels else log.warning)("%s", found.line())


def _all(text: str, count: int) -> pa.Array:
    return pa.repeat(text, count)
