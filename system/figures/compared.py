"""Several runs side by side: the rows that are compared, and the tables that terminal and page show of them."""

import base64
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from system.figures import format as text
from system.figures.curves import froc_figure
from system.figures.html import render
from system.figures.rows import FrocSeries
from system.figures.table import Table
from system.files.atomic import PRIVATE, write_text
from system.files.json_out import Ends, Measured
from system.records import P0, p0_text


@dataclass(frozen=True)
class ComparedPools:
    """The pools of one round at its last p0, in images."""

    round: int  # from 1
    p0: P0
    tp: int
    fp: int
    fn: int
    tn: int
    unused: int  # the report is not sure enough


@dataclass(frozen=True)
class Against:
    """A system against that of the first run, on the test images that both have."""

    num_patients: int  # shared; 0 = none, and then nothing is compared
    num_lesions: int  # on the shared images
    first_mean: Measured  # mean sensitivity of the first run's system on them, 0 to 1
    mean: Measured  # of this one
    difference: Measured  # mean - first_mean; NaN where nothing is compared
    interval: Ends  # 95 %, paired by patient
    why_not: str  # why there is no difference; "" where there is one


@dataclass(frozen=True)
class ComparedRun:
    """One run: its system on its own test images, its pools, and its cost."""

    name: str  # as tables name it
    system: str  # title: supervised, control 1, round 1
    num_images: int  # test
    num_patients: int
    num_lesions: int
    sensitivity: Mapping[str, Measured]  # false positives per image -> 0 to 1
    mean: Measured
    interval: Ends  # 95 %, of the mean
    pools: Sequence[ComparedPools]
    seconds: Mapping[str, float]  # labels, training, inference, other -> of the starts that finished its stages
    num_steps: int  # optimiser steps of all its trainings
    against: Against | None  # None for the first run


@dataclass(frozen=True)
class Difference:
    """A setting or a property of the data in which the runs are not all the same."""

    key: str  # dotted
    values: tuple[str, ...]  # by run


@dataclass(frozen=True)
class Comparison:
    """Several runs side by side; the first is the one that the others are held against."""

    runs: Sequence[ComparedRun]
    recipe: Sequence[Difference]
    data: Sequence[Difference]


@dataclass(frozen=True)
class PlainTable:
    """A table of texts; the first column names the row, and so do others up to num_names."""

    title: str
    headings: Sequence[str]
    rows: Sequence[Sequence[str]]
    num_names: int = 1


def tables_of(found: Comparison) -> Iterator[PlainTable]:
    """Give the tables that have a row."""
    names = [run.name for run in found.runs]
    yield from (table for table in (_sensitivity(found), _against(found), _pools(found), _cost(found)) if table.rows)
    for title, rows in (("What differs in the recipe", found.recipe), ("What differs in the data", found.data)):
        if rows:
            yield PlainTable(title, ["key", *names], [[row.key, *row.values] for row in rows], num_names=1 + len(names))


def _sensitivity(found: Comparison) -> PlainTable:
    fppi = list(found.runs[0].sensitivity)
    rows = [
        [
            *(run.name, run.system, *(text.share(run.sensitivity[x]) for x in fppi)),
            *(text.share(run.mean), text.interval(run.interval), str(run.num_patients), str(run.num_lesions)),
        ]
        for run in found.runs
    ]
    headings = ["run", "system", *(f"at {x}" for x in fppi), "mean", "95 %", "patients", "lesions"]
    return PlainTable("Sensitivity at false positives per image, test", headings, rows, num_names=2)


def _against(found: Comparison) -> PlainTable:
    first = found.runs[0].name
    rows = [
        [
            *(run.name, str(each.num_patients), str(each.num_lesions), text.share(each.first_mean)),
            *(text.share(each.mean), text.signed(each.difference), text.signed_interval(each.interval)),
        ]
        for run in found.runs
        if (each := run.against)
    ]
    headings = ["run", "patients", "lesions", first, "this run", "difference", "95 %, paired"]
    return PlainTable(f"Mean sensitivity against {first}, on the test images that both have", headings, rows)


def _pools(found: Comparison) -> PlainTable:
    rows = [
        [
            *(run.name, str(pool.round), p0_text(pool.p0)),
            *map(text.number, (pool.tp, pool.fp, pool.fn, pool.tn, pool.unused)),
        ]
        for run in found.runs
        for pool in run.pools
    ]
    headings = ["run", "round", "p0", "TP", "FP", "FN", "TN", "unsure"]
    return PlainTable("Pools at the last p0, images", headings, rows)


def _cost(found: Comparison) -> PlainTable:
    kinds = list(found.runs[0].seconds)
    rows = [
        [
            *(run.name, text.number(round(sum(run.seconds.values())))),
            *(text.number(round(run.seconds[kind])) for kind in kinds),
            text.number(run.num_steps),
        ]
        for run in found.runs
    ]
    return PlainTable("Cost, seconds", ["run", "all", *kinds, "steps"], rows)


def sentences(found: Comparison) -> Iterator[str]:
    """Give what the tables do not say: why runs are not compared, and where nothing differs."""
    for run in found.runs:
        if run.against and run.against.why_not:
            yield f"{run.name} is not compared with {found.runs[0].name}: {run.against.why_not}."
    if not found.recipe:
        yield "The recipes are the same."
    if not found.data:
        yield "The data are the same."


def on_terminal(table: PlainTable) -> Table:
    """Return a table for the terminal."""
    shown = Table(table.title)
    for place, heading in enumerate(table.headings):
        shown.add_column(heading, right=place >= table.num_names)
    for row in table.rows:
        shown.add_row(*row)
    return shown


def write_comparison(found: Comparison, curves: Sequence[FrocSeries], out: Path) -> Path:
    """Write the page, which loads nothing from elsewhere, and return its path; only its owner may read it."""
    fppi = [float(x) for x in found.runs[0].sensitivity]
    svg = froc_figure(curves, fppi=fppi)
    html = render(
        "comparison.html",
        names=[run.name for run in found.runs],
        tables=list(tables_of(found)),
        sentences=list(sentences(found)),
        curves=f"data:image/svg+xml;base64,{base64.b64encode(svg.encode()).decode()}",
    )
    out.parent.mkdir(parents=True, exist_ok=True)
    write_text(out, html, mode=PRIVATE)
    return out
