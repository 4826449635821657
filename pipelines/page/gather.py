"""Put a run's finished stages together: the tables for the terminal and the page for the browser."""

import math
from collections.abc import Iterator, Mapping
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

from rich.console import Console

from pipelines.page.about import about, facts, part_rows, split_rows, stage_title, timeline
from pipelines.page.galleries import galleries
from pipelines.page.mined import mined
from pipelines.train import epoch_rows
from system.archive import Archive
from system.config import RunConfig, as_yaml
from system.durations import duration_in_words
from system.errors import NotFinished
from system.evaluation.read_back import patient_counts, read_report
from system.figures.bands import with_band
from system.figures.cautions import data_cautions, label_cautions, pool_cautions, purity_cautions
from system.figures.console import console
from system.figures.page import write_page
from system.figures.result_sentence import RoundStanding, Standing, result_sentence
from system.figures.rows import (
    NAN,
    EpochPool,
    FlowRow,
    FrocSeries,
    HeadlineRow,
    LabelRow,
    Live,
    PageData,
    PoolRow,
    PurityRow,
    Reliability,
    TrainingCurve,
)
from system.figures.tables import headline_table, label_table, pool_table
from system.files.parquet import read_table
from system.metrics import PatientCounts, compare_systems
from system.reports.measures import LabelMeasures, compare_sources
from system.rounds import Stop
from system.run.after_mining import training_of
from system.run.folder import RunFolder
from system.run.progress import Progress, progress_of
from system.run.results import LabelResult
from system.run.systems import SUPERVISED, System
from system.run.under_way import rows_so_far


def present(run: RunFolder, *, archive_uri: str = "", config: RunConfig) -> Path:
    """Print the tables and write the page; return its path. archive_uri: where the archive lies, if it was moved."""
    archive = run.archive(uri=archive_uri)
    data = gather(run, archive=archive, config=config)
    page = write_page(data, run.page)
    show(data, page=page, screen=console())
    return page


def show(data: PageData, *, page: Path, screen: Console) -> None:
    """Print the tables of a run, its thresholds, decisions and result, and where its page is."""
    for table in (
        label_table(data.labels, note=data.label_note),
        headline_table(data.headline),
        pool_table(data.pools),
    ):
        screen.print(table)
        screen.print()
    for title, value in data.thresholds.items():
        screen.print(f"{title}: {value:.3g}")
    for decision in data.decisions:
        screen.print(decision)
    if data.result:
        screen.print(f"result: {data.result}")
    for caution in data.cautions:
        screen.print(f"look at: {caution.sentence}")
    if data.sentence:
        screen.print(data.sentence)
    screen.print(f"page: {page}")


def gather(run: RunFolder, *, archive: Archive, config: RunConfig) -> PageData:
    """Return everything that the page shows, from the run's finished stages. archive: at the run's versions."""
    data = gather_quickly(run, archive=archive, config=config)
    systems = run.systems()
    if not systems:
        return data
    shown, rules = _shown(run, systems), config.froc
    return replace(
        data,
        shown=shown.title,
        parts=list(part_rows(systems[0], shown, rules=rules)),
        galleries=galleries(systems[0], shown, archive, rules=rules),
        mined=mined(run, archive, config=config),
    )


def gather_quickly(run: RunFolder, *, archive: Archive | None, config: RunConfig) -> PageData:
    """Return what the page shows without its pictures of images: of a run that goes on, as far as it has come.

    archive: at the run's versions; None before the run is pinned to one
    """
    progress, systems, labelled = progress_of(run.path), run.systems(), run.last_labelling()
    labels = labelled.result() if labelled else None
    counts = {system.title: patient_counts(system.froc(), config=config.froc) for system in systems}
    headline, pools, purity = list(headline_rows(counts, config)), list(_pool_rows(run)), list(_purity_rows(run))
    splits = split_rows(archive, config) if archive else []
    sides = label_cautions(labels.sides, labels=labels.labels) if labels else ()
    cautions = [*sides, *pool_cautions(pools), *purity_cautions(purity), *data_cautions(splits)]
    return PageData(
        title=f"Run {run.path.resolve().parent.name}/{run.name}",
        headline=headline,
        sentence=result_sentence(headline, _standing(run)),
        live=_live(progress),
        cautions=cautions,
        about=about(run, config, progress),
        splits=splits,
        baseline=SUPERVISED,
        result=_result(run),
        decisions=list(_decisions(run, config)),
        rules=read_report(systems[0].froc()).rules if systems else (),
        froc=list(_curves(run, systems, config)),
        pools=pools,
        epoch_pools=list(_epoch_pools(run, config)),
        flows=list(_flow_rows(run)),
        purity=purity,
        thresholds=_thresholds(systems, config),
        labels=label_rows(labels) if labels else (),
        label_note=label_note(labels) if labels else "",
        reliability=_reliability(labels) if labels else (),
        trainings=list(_trainings(run)),
        timeline=timeline(progress.finished),
        config=as_yaml(config),
        facts=facts(archive),
    )


def _standing(run: RunFolder) -> Standing:
    """Return where the run stands, for the sentence on its result."""
    rounds = run.rounds()
    standings = [
        RoundStanding(
            this.title,
            control=run.control(this.number).title,
            promoted=not this.promotion.finished or this.promotion.result().promoted,
        )
        for this in rounds
    ]
    chosen = run.chosen.result().title if run.chosen.finished else ""
    outlined = (read_table(this.pools.path(this.pools.result().outlined)) for this in rounds)
    return Standing(standings, chosen=chosen, num_outlined=max((len(table) for table in outlined), default=0))


def _live(progress: Progress) -> Live | None:
    """Return how far a run has come, None of one that is finished."""
    if progress.state == "finished":
        return None
    doing = stage_title(progress.stage).replace(":", ",")
    if training := progress.training:
        doing += f", epoch {training.epoch} of at most {training.num_epochs}"
    left = "" if math.isnan(progress.left_s) else f"at most {duration_in_words(progress.left_s)} left"
    if not left and not math.isnan(progress.stage_left_s):
        left = f"at most {duration_in_words(progress.stage_left_s)} left of this stage"
    at = f"{datetime.fromtimestamp(progress.now_s, UTC):%Y-%m-%d %H:%M:%S} UTC"
    return Live(at_work=progress.state == "at work", doing=doing, left=left, at=at)


def _trainings(run: RunFolder) -> Iterator[TrainingCurve]:
    """Give each training of the run, finished or under way, in the order of the main table."""
    beside = [system for this in run.rounds() for system in (this, run.control(this.number))]
    for system in (run.stage1, *beside):
        trained = system.checkpoint
        if rows := epoch_rows(trained) if trained.finished else rows_so_far(trained.folder):
            yield TrainingCurve(system.title, rows)


def label_rows(found: LabelResult) -> list[LabelRow]:
    """Return table 2 of Tang et al. 2021 from a labelling: each side's models, rules and mean, then by language."""
    rows = [_label_row(side, measures.models, before=measures.uncalibrated) for side, measures in found.sides.items()]
    rows += [_label_row(f"{side}, by rules", measures.rules) for side, measures in found.sides.items()]
    rows += [_label_row(f"{side}, mean of both", measures.mean) for side, measures in found.sides.items()]
    return rows + [
        _label_row(f"{side}, {name}", part)
        for side, measures in found.sides.items()
        for name, part in measures.by_language.items()
    ]


def label_note(found: LabelResult) -> str:
    """Return which labels the loop gets, and which of models, rules and mean fit the annotated breasts best."""
    return compare_sources(found.sides, labels=found.labels).line()


def _label_row(title: str, found: LabelMeasures, *, before: LabelMeasures | None = None) -> LabelRow:
    return LabelRow(
        title=title,
        num_breasts=found.num_breasts,
        f1=found.average_f1,
        weighted_f1=found.weighted_f1,
        accuracy=found.accuracy,
        auroc=found.auroc,
        ece_before=before.ece if before else NAN,
        ece=found.ece,
        brier=found.brier,
        coverage=found.coverage,
    )


def headline_rows(counts: Mapping[str, PatientCounts], config: RunConfig) -> Iterator[HeadlineRow]:
    """Give each system's line, compared with the supervised one on the same patients; none before one is measured.

    Raises NotFinished where the supervised one is not measured.
    """
    if not counts:
        return
    if SUPERVISED not in counts:
        raise NotFinished(
            "the stages of the supervised model are not all there, and the other models are compared with it: go on "
            "with `mammoloop selftrain`"
        )
    for row in compare_systems(counts, baseline=SUPERVISED, config=config.froc):
        yield HeadlineRow(
            title=row.title,
            sensitivity={f"{fppi:g}": value for fppi, value in row.sensitivity.items()},
            mean=row.mean,
            interval=row.interval.pair(),
            difference=NAN if row.title == SUPERVISED else row.difference,
            difference_interval=row.difference_interval.pair(),
        )


def _shown(run: RunFolder, systems: list[System]) -> System:
    """Return the system whose errors are shown: the run's result or, where that is the supervised one, the last."""
    chosen = run.result() if run.chosen.finished else run.stage1
    return systems[-1] if chosen.title == SUPERVISED else chosen


def _result(run: RunFolder) -> str:
    """Return which system is the run's result, and why; nothing before it is chosen."""
    if not run.chosen.finished:
        return ""
    chosen = run.chosen.result()
    return f"{chosen.title}: {chosen.reason}"


def _decisions(run: RunFolder, config: RunConfig) -> Iterator[str]:
    """Give what was decided after each round."""
    for this in run.rounds():
        decided = training_of(this, this.pools.result(), config=config.rounds)
        if isinstance(decided, Stop) and not this.checkpoint.finished:
            yield decided.reason
        if this.promotion.finished:
            found = this.promotion.result()
            follows = "the next goes on from it" if found.promoted else f"the next goes on from {found.over}"
            yield f"{this.title}: {found.gain.line()}; {found.reason}: {follows}."


def _curves(run: RunFolder, systems: list[System], config: RunConfig) -> Iterator[FrocSeries]:
    """Give each system's curve; intervals of the supervised and the shown one alone: more cannot be told apart."""
    shown = _shown(run, systems).title if systems else ""
    for system in systems:
        if system.title in (SUPERVISED, shown):
            yield _with_band(system, config=config)
        else:
            curve = read_report(system.froc()).sweep_curve
            yield FrocSeries(system.title, curve.fppi, curve.sensitivity)


def _with_band(system: System, *, config: RunConfig) -> FrocSeries:
    """Return a system's curve and its interval."""
    curve = read_report(system.froc()).sweep_curve
    counts = patient_counts(system.froc(), config=config.froc)
    return with_band(system.title, curve.fppi, curve.sensitivity, counts, config=config.froc)


def _pool_rows(run: RunFolder) -> Iterator[PoolRow]:
    for this in run.rounds():
        for pool in this.pools.result().pools:
            found = pool.counts
            yield PoolRow(
                this.number, pool.p0, found.tp, found.fp, found.fn, found.tn, found.unused, disputed=found.disputed
            )


def _epoch_pools(run: RunFolder, config: RunConfig) -> Iterator[EpochPool]:
    for this in run.rounds():
        mined_pools = this.pools.result()
        for epoch in range(config.rounds.train.num_epochs):
            pool = mined_pools.pool_of(config.rounds.p0.at(epoch))
            yield EpochPool(this.number, epoch + 1, pool.p0, pool.counts.tp, pool.counts.fp, pool.counts.fn)


def _flow_rows(run: RunFolder) -> Iterator[FlowRow]:
    for this in run.rounds():
        for pool in this.pools.result().pools:
            if pool.moved:
                yield FlowRow(this.number, pool.p0, pool.moved, pool.reasons)


def _purity_rows(run: RunFolder) -> Iterator[PurityRow]:
    for this in run.rounds():
        for pool in this.pools.result().pools:
            for part in pool.purity:
                if part.num_known:
                    yield PurityRow(this.number, pool.p0, part.quadrant, part.num_known, part.share)


def _reliability(found: LabelResult) -> list[Reliability]:
    """Return both sides' probabilities against the share that has a mass, on the folds held out."""
    rows: list[Reliability] = []
    for side, measures in found.sides.items():
        tenths, raw = measures.models.reliability, measures.uncalibrated.reliability
        rows.append(
            Reliability(
                side,
                [one.p_mass for one in tenths],
                [one.share for one in tenths],
                [one.count for one in tenths],
                raw=[(one.p_mass, one.share) for one in raw],
            )
        )
    return rows


def _thresholds(systems: list[System], config: RunConfig) -> dict[str, float]:
    found: dict[str, float] = {}
    for system in systems:
        chosen = system.thresholds.result()
        found[f"{system.title}: mask threshold"] = chosen.mask_threshold
        if config.froc.needs_threshold:
            found[f"{system.title}: candidate threshold"] = chosen.candidate_threshold
    return found
