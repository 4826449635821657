"""Reproduce a table of the paper: train its grid cell by cell; print our numbers beside the paper's.

A cell is a run of the loop in a folder of its own, so a killed reproduction goes on where it was. What cells have in
common is done once
and taken over: the labels by all, Stage 1 by those of one share of the fully annotated data and one seed.
"""

import logging
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import ray
from ray.exceptions import RayError

from pipelines import selftrain
from pipelines.cluster import side_by_side
from pipelines.experiments.claim import claim
from pipelines.ray_errors import plain_cause
from system.archive import Archive
from system.config import RunConfig, as_yaml, resolve
from system.durations import duration_in_words
from system.errors import MachineFault, UserError
from system.evaluation.read_back import cut_counts, patient_counts
from system.figures.bands import mean_curve
from system.figures.console import console
from system.figures.curves import froc_figure
from system.figures.rows import FrocSeries, ReproducedRow
from system.figures.tables import label_comparison, reproduction_table
from system.files.atomic import write_text
from system.files.json_out import as_json
from system.metrics import PatientCounts, gain_over_seeds, over_seeds, rules
from system.place import PLACE
from system.published import FPPI, NAN, TABLE_2, TABLES, Data, Row, SensitivityTable
from system.records import Split
from system.run.folder import RunFolder
from system.run.systems import System

log = logging.getLogger(__name__)

_VARIED = (
    "strong_share",
    "weak_share",
    "loss.mask_labels",
    "loss.report_labels",
)  # by all tables together: they name a cell
MODES = {"sweep": "by the candidates' scores", "cut_anew": "second mode, the map cut anew at each operating point"}
_LOOK_S = 20.0  # between two lines of progress
_LOG = "log.txt"


class CellsFailed(UserError):
    """Some cells of a table could not be trained; the others are kept."""


@dataclass(frozen=True)
class Cell:
    """One training of the grid."""

    folder: Path
    config: RunConfig
    base: "Cell | None" = None  # the cell whose Stage 1 it takes over

    @property
    def run(self) -> RunFolder:
        """The cell's run."""
        return RunFolder(self.folder)


@dataclass(frozen=True)
class Modes:
    """What a system counts in both modes of the evaluation; the paper does not say which of them is its own."""

    sweep: PatientCounts  # by the candidates' scores
    cut_anew: PatientCounts  # the map cut anew at each operating point


def run(name: str, archive_uri: str, out: Path, *, config: RunConfig, num_seeds: int = 1) -> None:
    """Train what is missing of a table, print it, and write `name`.json, for a figure `name`.svg. Needs a running Ray.

    name: table2, or a key of published.TABLES
    Raises UserError when the folder holds a reproduction of other settings or the config has no round, CellsFailed
    when cells failed: the others are kept, and the same arguments try those again.
    """
    if name != "table2" and not config.rounds.num_rounds:
        raise UserError("rounds.num_rounds=0 leaves no weak data to reproduce a table with: set at least 1")
    out, archive_uri, config = claimed(archive_uri, out, config=config)
    selftrain.prepare(archive_uri, RunFolder(out), config=config)
    if name == "table2":
        _show_table_2(out)
        return
    table = TABLES[name]
    seeds = [config.seed + number for number in range(num_seeds)]
    grid = [[cell_of(row, out, config=config, seed=seed) for seed in seeds] for row in table.rows]
    cells = [cell for row in grid for cell in row]
    bases = {base.folder: base for base in (cell.base or cell for cell in cells)}
    weak = {cell.folder: cell for cell in cells if cell.base}
    at_once = side_by_side(config, resources=ray.cluster_resources())
    log.info("%s: %d trainings of Stage 1, %d of rounds, %d at once", name, len(bases), len(weak), at_once)
    with PLACE.at(f"in {name}"):
        for wave in (bases, weak):
            train_cells(list(wave.values()), archive_uri, out, at_once=at_once)
    counts = [[_counts(cell, split=table.split) for cell in row] for row in grid]
    control = [[_control(cell, split=table.split) for cell in row] for row in grid]
    _show(name, table, out, counts=counts, control=control, config=config, seeds=seeds)


def claimed(
    archive_uri: str, out: Path, *, config: RunConfig, what: str = "reproduction"
) -> tuple[Path, str, RunConfig]:
    """Claim the folder, and return it, the archive and the settings as workers find them. Needs no Ray.

    what: "reproduction" or "set of ablations". Raises UserError when the folder holds one of other settings.
    """
    out, archive_uri = out.resolve(), Archive.open(archive_uri).uri  # workers stand in other folders
    config = selftrain.located(config)
    file = "reproduce.yaml" if what == "reproduction" else "ablations.yaml"
    claim(out / file, f"# on {archive_uri}\n{as_yaml(config)}", what=what)
    return out, archive_uri, config


def cell_of(row: Row, out: Path, *, config: RunConfig, seed: int) -> Cell:
    """Return the training that a row needs. Two rows of equal settings, of whichever tables, are one cell."""
    share = f"strong_share={row.settings['strong_share']}"
    alone = resolve(config, settings=[share, f"seed={seed}", "rounds.num_rounds=0"])
    base = Cell(out / "cells" / f"stage1-strong_share_{alone.strong_share:g}-seed_{seed}", alone)
    if row.data is Data.STRONG:
        return base
    chosen = resolve(config, settings=[*(f"{key}={value}" for key, value in row.settings.items()), f"seed={seed}"])
    if (chosen.weak_share, chosen.loss) != (1.0, config.loss):  # supervised steps are the same whatever the weak data
        chosen = resolve(chosen, settings=["rounds.control=false"])
    name = _name(chosen)
    if chosen.rounds.miner:  # one address a run
        chosen = resolve(chosen, settings=[f"rounds.miner={chosen.rounds.miner}/{name}"])
    return Cell(out / "cells" / name, chosen, base)


def perform(cell: Cell, archive_uri: str, shared: Path) -> None:
    """Train a cell, in a Ray task of its own; its log goes into its log.txt."""
    with _logged(cell.folder):
        run, common = cell.run, RunFolder(shared)
        run.labels.adopt(common.labelling)
        run.archive_pin.adopt(common.archive_pin)
        if cell.base:
            _adopt_system(run.stage1, cell.base.run.stage1)
        selftrain.run(archive_uri, cell.folder, config=cell.config)


def _adopt_system(system: System, other: System) -> None:
    system.checkpoint.adopt(other.checkpoint)
    system.held_out.adopt(other.held_out)
    system.thresholds.adopt(other.thresholds)
    system.froc().adopt(other.froc())


def _name(config: RunConfig) -> str:
    values = config.model_dump() | {f"loss.{key}": value for key, value in config.loss.model_dump().items()}
    return "-".join([*(f"{key.rpartition('.')[2]}_{values[key]}" for key in _VARIED), f"seed_{config.seed}"])


def train_cells(cells: Sequence[Cell], archive_uri: str, out: Path, *, at_once: int) -> None:
    """Train the cells, so many at once. Raises CellsFailed naming those that failed, after all had their turn."""
    task = ray.remote(perform).options(num_cpus=0, max_retries=2, scheduling_strategy="SPREAD")
    PLACE.how_far = f"0 of {len(cells)} trainings done"
    waiting, running, failed, start = list(cells), {}, [], time.monotonic()
    while waiting or running:
        while waiting and len(running) < at_once:
            cell = waiting.pop(0)
            running[task.remote(cell, archive_uri, out)] = cell
        ended, _ = ray.wait(list(running), timeout=_LOOK_S)
        for reference in ended:
            cell = running.pop(reference)
            try:
                ray.get(reference)
            except (RayError, ValueError, OSError, RuntimeError) as error:
                if isinstance(cause := plain_cause(error), MachineFault):
                    raise cause from error  # it would meet the other cells too
                failed.append(cell.folder.name)
                log.error("%s failed: %s", cell.folder.name, cause)
            done = len(cells) - len(waiting) - len(running)
            minutes = (time.monotonic() - start) / 60
            left_s = 60 * minutes / done * (len(cells) - done)
            PLACE.how_far = f"{done} of {len(cells)} trainings done"
            log.info("%s, %.1f min, about %s left", PLACE.how_far, minutes, duration_in_words(left_s))
        for cell in () if ended else running.values():
            log.info("%s: %s", cell.folder.name, _last_line(cell.folder / _LOG))
    if failed:
        raise CellsFailed(
            f"{len(failed)} of {len(cells)} cells failed: {', '.join(failed)}; see their {_LOG}, "
            "and start again to retry them"
        )


@contextmanager
def _logged(folder: Path) -> Iterator[None]:
    folder.mkdir(parents=True, exist_ok=True)
    handler = logging.FileHandler(folder / _LOG, encoding="utf8")
    handler.setFormatter(logging.Formatter("%(asctime)s %(message)s", datefmt="%H:%M:%S"))
    loggers = [logging.getLogger(name) for name in ("mammoloop", "pipelines", "system")]
    for each in loggers:
        each.setLevel(logging.INFO)
        each.addHandler(handler)
    try:
        yield
    finally:
        for each in loggers:
            each.removeHandler(handler)
        handler.close()


def _last_line(path: Path) -> str:
    lines = path.read_text(encoding="utf8").splitlines() if path.exists() else []
    return lines[-1] if lines else "starting"


def _counts(cell: Cell, *, split: Split) -> Modes:
    """Return what the model of a cell counts: of the last round promoted, of Stage 1 where there is none."""
    return counts_of(cell.run.before(len(cell.run.trained_rounds()) + 1), cell, split=split)


def _control(cell: Cell, *, split: Split) -> Modes | None:
    """Return what as many more supervised steps brought, where the cell trained that beside its rounds."""
    rounds = cell.run.trained_rounds()
    control = cell.run.control(len(rounds))
    return counts_of(control, cell, split=split) if rounds and control.measured else None


def counts_of(system: System, cell: Cell, *, split: Split = Split.TEST) -> Modes:
    """Return what one of a cell's systems counts in each patient of a split; evaluated where it was not yet."""
    selftrain.evaluate_on(system, split, archive=cell.run.archive(), config=cell.config)
    stage = system.froc(split)
    return Modes(sweep=patient_counts(stage, config=cell.config.froc), cut_anew=cut_counts(stage))


def _show(  # noqa: PLR0913 - a table, and what fills it
    name: str,
    table: SensitivityTable,
    out: Path,
    *,
    counts: list[list[Modes]],
    control: list[list[Modes | None]],
    config: RunConfig,
    seeds: list[int],
) -> None:
    """Print the table in both modes; write it, and the curves of a figure."""
    rows: dict[str, list[ReproducedRow]] = {}
    captions = {mode: _caption(table, mode, counts[0][0].sweep, config=config, seeds=seeds) for mode in MODES}
    for mode, title in MODES.items():
        of_mode = [[getattr(modes, mode) for modes in row] for row in counts]
        longer = [[getattr(modes, mode) for modes in row if modes] for row in control]
        rows[mode] = [
            _row(
                row, of_mode[place], supervised=_without_weak(table, of_mode, row), control=longer[place], config=config
            )
            for place, row in enumerate(table.rows)
        ]
        heading = f"{table.title}; {title}"
        console().print(
            reproduction_table(heading, table.headings, rows[mode], fppi=config.froc.fppi, caption=captions[mode])
        )
        if name.startswith("figure"):
            series = [_series(row, seeds_of, config=config) for row, seeds_of in zip(table.rows, of_mode, strict=True)]
            figure = out / f"{name}.svg" if mode == "sweep" else out / f"{name}_{mode}.svg"
            write_text(figure, froc_figure(series, fppi=config.froc.fppi))
            console().print(f"curves: {figure}")
    facts = {"title": table.title, "captions": captions, "seeds": seeds, "rules": rules(config.froc)}
    write_text(out / f"{name}.json", as_json(facts | {"rows": rows["sweep"], "rows_cut_anew": rows["cut_anew"]}))


def _caption(table: SensitivityTable, mode: str, counts: PatientCounts, *, config: RunConfig, seeds: list[int]) -> str:
    """Return how the numbers of a table came about."""
    counted = f"{len(counts.patients)} patients, {counts.lesions.sum()} lesions in {counts.images.sum()} images"
    sentences = [
        f"Ours, with the paper's in brackets. Mean over seeds {', '.join(map(str, seeds))}; {counted}.",
        f"95 % intervals resample patients {config.froc.bootstrap} times.",
        "Gain: over the row without weak data, paired.",
        "More steps: the model without weak data, trained for as many more steps as the rounds took.",
    ]
    if mode == "cut_anew":
        sentences.append("The paper does not say which mode its numbers are of, so they stand in both tables.")
    if table.split is Split.VALIDATION:
        chosen = "mask and candidate threshold are" if config.froc.needs_threshold else "mask threshold is"
        sentences.append(f"Every model's {chosen} chosen on these very images, unless set to a number.")
    return " ".join(sentences)


def _without_weak(table: SensitivityTable, counts: list[list[PatientCounts]], row: Row) -> list[PatientCounts] | None:
    """Return the row of the same fully annotated data and no weak ones, where the table has one."""
    for place, other in enumerate(table.rows):
        if (
            row.data is Data.WEAK
            and other.data is Data.STRONG
            and other.settings["strong_share"] == row.settings["strong_share"]
        ):
            return counts[place]
    return None


def _row(
    row: Row,
    seeds: list[PatientCounts],
    *,
    supervised: list[PatientCounts] | None,
    control: list[PatientCounts],
    config: RunConfig,
) -> ReproducedRow:
    ours = over_seeds(seeds, config=config.froc)
    compared = {}
    if supervised:
        gain, interval = gain_over_seeds(supervised, seeds, config=config.froc)
        compared = {"gain": gain, "gain_interval": interval.pair()}
    if control:
        compared["more_steps"] = over_seeds(control, config=config.froc).mean
    return ReproducedRow(
        labels=row.labels,
        sensitivity=tuple(ours.sensitivity.values()),
        mean=ours.mean,
        interval=ours.interval.pair(),
        each=ours.each,
        paper=dict(zip(FPPI, row.paper[:-1], strict=True)),
        paper_mean=row.paper[-1] if config.froc.fppi == FPPI else NAN,
        **compared,
    )


def _series(row: Row, seeds: list[PatientCounts], *, config: RunConfig) -> FrocSeries:
    """Return the mean curve of the seeds."""
    title = ", ".join(f"{label} {what}" for label, what in zip(row.labels, ("annotated", "weak"), strict=True))
    return mean_curve(title, seeds, config=config.froc)


def _show_table_2(out: Path) -> None:
    sides = {side: RunFolder(out).labelling.result().sides[side].models for side in TABLE_2}
    ours = {side: (found.average_f1, found.weighted_f1, found.accuracy) for side, found in sides.items()}
    counted = ", ".join(f"{found.num_breasts} {side}" for side, found in sides.items())
    caption = (
        f"Ours, with the paper's in brackets; breasts: {counted}. "
        "Held-out folds, every report read by the model that never saw it."
    )
    console().print(label_comparison(ours, TABLE_2, caption=caption))
    write_text(out / "table2.json", as_json({"ours": ours, "paper": TABLE_2, "caption": caption}))
