"""The run's tables for the terminal; the CLI prints them."""

import math
from collections.abc import Mapping, Sequence

from system.figures import format as text
from system.figures.rows import BASELINE, NAN, AblationRow, HeadlineRow, LabelRow, PoolRow, ReproducedRow
from system.figures.table import Table
from system.metrics.subgroups import GroupRow
from system.records import p0_text


def headline_table(rows: Sequence[HeadlineRow], *, baseline: str = BASELINE) -> Table:
    """Return each system's sensitivity at the numbers of false positives per image, the mean and its interval."""
    fppi = list(rows[0].sensitivity) if rows else []
    headings = [*(f"{x} FPPI" for x in fppi), "mean", "95 % interval", f"vs {baseline}", "95 % interval, paired"]
    table = _table("Sensitivity, held-out patients", ["system", *headings])
    for row in rows:
        values = [text.share(row.sensitivity[x]) for x in fppi]
        compared = [text.signed(row.difference), text.signed_interval(row.difference_interval)]
        if row.title == baseline:
            compared = ["", ""]
        table.add_row(row.title, *values, text.share(row.mean), text.interval(row.interval), *compared)
    return table


def group_table(title: str, rows: Sequence[GroupRow]) -> Table:
    """Return one system's sensitivities by group; false positives are counted over the group's images."""
    fppi = list(rows[0].sensitivity) if rows else []
    table = _table(title, ["by", *(f"{x} FPPI" for x in fppi), "mean", "95 % interval", "images", "lesions"])
    for row in rows:
        values = [
            *(text.share(row.sensitivity[x]) for x in fppi),
            text.share(row.mean),
            text.interval(row.interval.pair()),
        ]
        table.add_row(f"{row.kind}: {row.name}", *values, text.number(row.num_images), text.number(row.num_lesions))
    return table


Cell = float | tuple[float, float]
"""A measure, or the ends of an interval."""


def image_table(measures: Mapping[str, Mapping[str, Cell]]) -> Table:
    """Return the measures of whole images, one system per column; without those that no system has."""
    table = _table("Images with a mass against those without", ["measure", *measures])
    for name in next(iter(measures.values()), {}):
        cells = [each[name] for each in measures.values()]
        shown = [text.interval(cell) if isinstance(cell, tuple) else text.share(cell) for cell in cells]
        if set(shown) != {text.share(NAN)}:
            table.add_row(name, *shown)
    return table


def pool_table(rows: Sequence[PoolRow]) -> Table:
    """Return the sizes of the pools per round and p0, in images."""
    table = _table("Pools, images", ["round", "p0", "TP", "FP", "disputed", "FN", "TN, thrown away", "report unsure"])
    for row in rows:
        sizes = [text.number(size) for size in (row.tp, row.fp, row.disputed, row.fn, row.tn, row.unused)]
        table.add_row(str(row.round), p0_text(row.p0), *sizes)
    return table


def label_table(rows: Sequence[LabelRow], *, note: str = "") -> Table:
    """Return how well the reports were read on held-out folds. note: a line below it."""
    p0_steps = list(rows[0].coverage) if rows else []
    headings = [
        "F1",
        "weighted F1",
        "accuracy",
        "AUROC",
        "ECE before",
        "ECE",
        "Brier",
        *(f"beyond {p0}" for p0 in p0_steps),
        "breasts",
    ]
    table = _table("Report labels, folds held out", ["breast", *headings], note=note)
    for row in rows:
        measures = (row.f1, row.weighted_f1, row.accuracy, row.auroc, row.ece_before, row.ece, row.brier)
        covered = (row.coverage.get(p0, NAN) for p0 in p0_steps)
        table.add_row(row.title, *(text.share(value) for value in (*measures, *covered)), text.number(row.num_breasts))
    return table


def reproduction_table(
    title: str, headings: Sequence[str], rows: Sequence[ReproducedRow], *, fppi: Sequence[float], caption: str
) -> Table:
    """Return our numbers in the paper's layout, each with the paper's in brackets."""
    table = Table(title, note=caption)
    for heading in headings:
        table.add_column(heading)
    for heading in [*(f"FP @{x:g}" for x in fppi), "average", "95 %", "gain", "95 %, paired", "more steps"]:
        table.add_column(heading, right=True)
    with_seeds = any(len(row.each) > 1 for row in rows)
    if with_seeds:
        table.add_column("seeds", right=True)
    for row in rows:
        points = [_beside(ours, row.paper.get(x, NAN)) for x, ours in zip(fppi, row.sensitivity, strict=True)]
        seeds = [" ".join(text.share(mean) for mean in row.each)] if with_seeds else []
        gain = ["", ""] if math.isnan(row.gain) else [text.signed(row.gain), text.signed_interval(row.gain_interval)]
        longer = "" if math.isnan(row.more_steps) else text.share(row.more_steps)
        table.add_row(
            *row.labels, *points, _beside(row.mean, row.paper_mean), text.interval(row.interval), *gain, longer, *seeds
        )
    return table


def ablation_table(rows: Sequence[AblationRow], *, caption: str) -> Table:
    """Return what each part of the rounds is worth."""
    num_rounds = max((len(row.rounds) for row in rows), default=0)
    rounds = [f"round {number}" for number in range(1, num_rounds + 1)]
    headings = ["run", "Stage 1", "control", *rounds, "gain over control", "95 %, paired", "seeds"]
    table = _table("Ablations", headings, note=caption)
    for row in rows:
        means = [text.share(value) for value in (row.stage1, row.control, *row.rounds)]
        means += [""] * (num_rounds - len(row.rounds))
        gain = [text.signed(row.gain), text.signed_interval(row.gain_interval)]
        table.add_row(row.title, *means, *gain, " ".join(text.share(mean) for mean in row.each))
    return table


def label_comparison(
    ours: Mapping[str, Sequence[float]], paper: Mapping[str, Sequence[float]], *, caption: str
) -> Table:
    """Return table 2: for each breast average F1, weighted F1 and accuracy, the paper's in brackets."""
    headings = ["breast", "average F1", "weighted F1", "accuracy"]
    table = _table("Table 2: three folds of the report models", headings, note=caption)
    for side, values in ours.items():
        table.add_row(
            side, *(f"{value:.4f} ({printed:.4f})" for value, printed in zip(values, paper[side], strict=True))
        )
    return table


def _beside(ours: float, paper: float) -> str:
    return text.share(ours) if math.isnan(paper) else f"{text.share(ours)} ({text.share(paper)})"


def _table(title: str, headings: list[str], *, note: str = "") -> Table:
    """Return an empty table: the first column names the row, the others hold numbers."""
    table = Table(title, note=note)
    for index, heading in enumerate(headings):
        table.add_column(heading, right=index > 0)
    return table
