"""The page about a sweep: one file that loads nothing from elsewhere."""

import base64
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from system.figures.compared import PlainTable
from system.figures.curves import froc_figure
from system.figures.html import render
from system.figures.rows import FrocSeries
from system.figures.sweep_curves import history_figure, importance_figure, parallel_figure, slice_figure
from system.figures.sweep_rows import SweepTrial
from system.files.atomic import PRIVATE, write_text


@dataclass(frozen=True)
class SweepPage:
    """All that the page shows."""

    name: str
    measure: str  # by which trials are judged
    sentences: Sequence[str]
    trials: Sequence[SweepTrial]  # by number
    names: Mapping[str, str]  # dotted key -> as it is shown
    log_keys: Sequence[str]  # searched by their logarithm
    importance: Mapping[str, float]  # shown name -> share of the variance, 0 to 1
    curves: Sequence[FrocSeries]  # the start's first
    fppi: Sequence[float]  # operating points, false positives per image
    tables: Sequence[PlainTable]


@dataclass(frozen=True)
class _Drawn:
    title: str
    caption: str
    data: str  # the picture as an address


def write_sweep_page(page: SweepPage, out: Path) -> None:
    """Write the page; only its owner may read it."""
    html = render(
        "sweep.html", name=page.name, sentences=page.sentences, figures=list(_figures(page)), tables=page.tables
    )
    write_text(out, html, mode=PRIVATE)


def _figures(page: SweepPage) -> Iterator[_Drawn]:
    """Give the figures that have something to show."""
    drawn = [
        (
            "History",
            "Each trial's measure on validation, in the order in which they were begun, and the best so far.",
            history_figure(page.trials, measure=page.measure),
        ),
        (
            "What matters",
            "Share of the variance of the trials' values that each setting explains alone or with others (fANOVA).",
            importance_figure(page.importance),
        ),
        (
            "Each setting alone",
            "One point per finished trial, later ones lighter; the best is circled.",
            slice_figure(page.trials, page.names, log_keys=page.log_keys, measure=page.measure),
        ),
        (
            "All settings together",
            "One line per finished trial, better ones lighter; the best is drawn thick.",
            parallel_figure(page.trials, page.names, log_keys=page.log_keys, measure=page.measure),
        ),
        (
            "The best against the start",
            "FROC on validation with its 95 % interval by patient.",
            froc_figure(page.curves, fppi=page.fppi) if page.curves else "",
        ),
    ]
    for title, caption, svg in drawn:
        if svg:
            yield _Drawn(title, caption, f"data:image/svg+xml;base64,{base64.b64encode(svg.encode()).decode()}")
