"""The run's tables for the terminal; the CLI prints them."""

from collections.abc import Sequence

from rich.table import Table

from system.figures import format as text
from system.figures.report import BASELINE, NAN, HeadlineRow, LabelRow, PoolRow


def headline_table(rows: Sequence[HeadlineRow], *, baseline: str = BASELINE) -> Table:
    """Return sensitivity at each number of false positives per image, the mean and its interval, for every system."""
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


def pool_table(rows: Sequence[PoolRow]) -> Table:
    """Return the sizes of the pools per round and p0, in images."""
    table = _table("Pools, images", ["round", "p0", "TP", "FP", "FN", "TN, thrown away", "report unsure"])
    for row in rows:
        sizes = [text.number(size) for size in (row.tp, row.fp, row.fn, row.tn, row.unused)]
        table.add_row(str(row.round), f"{row.p0:.2f}", *sizes)
    return table


def label_table(rows: Sequence[LabelRow]) -> Table:
    """Return how well the reports were read on the folds held out."""
    p0_steps = list(rows[0].coverage) if rows else []
    headings = ["F1", "weighted F1", "accuracy", "AUROC", "ECE before", "ECE", "Brier", *(f"beyond {p0}" for p0 in p0_steps), "breasts"]
    table = _table("Report labels, folds held out", ["breast", *headings])
    for row in rows:
        measures = (row.f1, row.weighted_f1, row.accuracy, row.auroc, row.ece_before, row.ece, row.brier)
        covered = (row.coverage.get(p0, NAN) for p0 in p0_steps)
        table.add_row(row.title, *(text.share(value) for value in (*measures, *covered)), text.number(row.num_breasts))
    return table


def _table(title: str, headings: list[str]) -> Table:
    """Return an empty table: the first column names the row, the others hold numbers."""
    table = Table(title=title, title_justify="left", title_style="bold")
    for index, heading in enumerate(headings):
        table.add_column(heading, justify="right" if index else "left")
    return table
