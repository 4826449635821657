"""FROC and loss curves, pools and calibration as SVG text.

Drawn without pyplot, so that there is no global state and no window.
"""

import io
from collections.abc import Sequence

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator
from matplotlib.typing import RcKeyType

from system.figures.rows import EpochPool, FrocSeries, Reliability, TrainingCurve
from system.training.epoch_row import EpochRow

# With the markers they can be told apart in gray too.
COLOURS = ("#6b6b6b", "#a8a29a", "#0b6e99", "#c2571a", "#5b8c3e", "#8a4f9e")
MARKERS = ("o", "s", "^", "D", "v", "P")
TERMS = {  # of the loss, as people name them
    "total": "total, weighted",
    "mask_strong": "map, annotated images",
    "class_strong": "whole image, annotated images",
    "mask_weak": "map, images with a report",
    "class_weak": "whole image, images with a report",
}
STYLE: dict[RcKeyType, str | float | bool] = {
    "font.family": "sans-serif",
    "font.size": 10,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.edgecolor": "#888888",
    "axes.linewidth": 0.8,
    "xtick.color": "#444444",
    "ytick.color": "#444444",
    "svg.hashsalt": "mammoloop",  # equal curves give equal bytes
}


def froc_figure(series: Sequence[FrocSeries], *, fppi: Sequence[float]) -> str:
    """Return the curves as SVG, steps from (0, 0) on; thin lines and markers show the operating points."""
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(7.2, 4.6), layout="constrained")
        axes = figure.add_subplot()
        right = 1.15 * max(fppi)
        for x in fppi:
            axes.axvline(x, color="#dddddd", linewidth=0.8, zorder=0)
        places = _places([one.title for one in series])
        for one in series:
            _draw_froc(axes, one, place=places[one.title], fppi=fppi, right=right)
        axes.set(xlim=(0, right), ylim=(0, 1.02), xlabel="false positives per image", ylabel="sensitivity")
        axes.set_xticks([0, *fppi], ["0", *(f"{x:g}" for x in fppi)])
        axes.grid(axis="y", color="#eeeeee", linewidth=0.8)
        figure.legend(loc="outside lower center", ncols=2, frameon=False)
        return svg(figure)


def loss_figure(trainings: Sequence[TrainingCurve]) -> str:
    """Return the loss terms by epoch as SVG, one panel per training; "" where there is nothing to draw."""
    drawn = [training for training in trainings if training.rows]
    if not drawn:
        return ""
    terms = list(dict.fromkeys(term for training in drawn for row in training.rows for term in row.losses))
    num_rows = (len(drawn) + 1) // 2
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(7.2, 2.6 * num_rows), layout="constrained")
        grid = figure.subplots(num_rows, min(2, len(drawn)), squeeze=False)
        for axes in grid.flat:
            axes.set_visible(False)
        for axes, training in zip(grid.flat, drawn, strict=False):
            axes.set_visible(True)
            _draw_losses(axes, training.rows, terms=terms)
            axes.set_title(training.title, loc="left", fontsize=10)
        lines = {str(line.get_label()): line for axes in grid.flat for line in axes.get_lines()}
        figure.legend(list(lines.values()), list(lines), loc="outside lower center", ncols=3, frameon=False, fontsize=9)
        return svg(figure)


def pool_figure(pools: Sequence[EpochPool]) -> str:
    """Return the pool of each epoch as SVG, round after round: bars of TP, FP and FN, and p0 as steps above them."""
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(7.2, 3.6), layout="constrained")
        upper, lower = figure.subplots(2, 1, sharex=True, height_ratios=(1, 2.4))
        places, bottom = np.arange(len(pools)), np.zeros(len(pools))
        upper.step(
            [*places - 0.5, len(pools) - 0.5], [*(row.p0 for row in pools), pools[-1].p0], where="post", color="#444444"
        )
        upper.set(ylabel="p0", ylim=(0.5, 1.0))
        for name, colour in zip(("tp", "fp", "fn"), COLOURS[2:5], strict=True):
            sizes = np.array([getattr(row, name) for row in pools])
            lower.bar(places, sizes, bottom=bottom, color=colour, width=0.8, label=name.upper())
            bottom = bottom + sizes
        begins = [place for place in range(1, len(pools)) if pools[place].round != pools[place - 1].round]
        for axes in (upper, lower):
            axes.grid(axis="y", color="#eeeeee", linewidth=0.8)
            axes.set_axisbelow(True)
            for place in begins:
                axes.axvline(place - 0.5, color="#aaaaaa", linewidth=0.8, linestyle=":")
        lower.set(ylabel="images", xlabel="epoch of the round", ylim=(0, max(1.0, 1.05 * bottom.max())))
        lower.set_xticks(places, [str(row.epoch) for row in pools])
        for place in [0, *begins]:
            upper.text(place - 0.4, 0.53, f"round {pools[place].round}", fontsize=9, color="#444444")
        figure.legend(loc="outside lower center", ncols=3, frameon=False)
        return svg(figure)


def reliability_figure(curves: Sequence[Reliability]) -> str:
    """Return the report models' probabilities against the share of breasts with a mass, as SVG, one panel per side."""
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(7.2, 3.3), layout="constrained")
        for axes, one in zip(figure.subplots(1, len(curves), squeeze=False).flat, curves, strict=True):
            axes.plot([0, 1], [0, 1], color="#bbbbbb", linewidth=0.8)
            if one.raw:
                axes.plot(*zip(*one.raw, strict=True), "x", color=COLOURS[0], markersize=5, label="before calibration")
            sizes = 12 + 90 * np.sqrt(np.array(one.count) / max(one.count))
            axes.scatter(
                one.p_mass, one.share, s=sizes, color=COLOURS[2], alpha=0.75, label="calibrated; area: breasts"
            )
            axes.set(xlim=(-0.03, 1.03), ylim=(-0.03, 1.03), xlabel="probability of a mass", ylabel="share with a mass")
            axes.set_title(one.title, loc="left", fontsize=10)
            axes.grid(color="#eeeeee", linewidth=0.8)
        handles, labels = figure.axes[0].get_legend_handles_labels()
        figure.legend(handles, labels, loc="outside lower center", ncols=2, frameon=False)
        return svg(figure)


def _places(titles: Sequence[str]) -> dict[str, tuple[str, str]]:
    """Return each system's colour and marker: gray for the first one and for controls, colours for the others."""
    first, control, *colours = COLOURS
    grays = {title: control for title in titles if title.startswith("control")} | {titles[0]: first} if titles else {}
    others = [title for title in dict.fromkeys(titles) if title not in grays]
    found = grays | {title: colours[place % len(colours)] for place, title in enumerate(others)}
    return {title: (found[title], MARKERS[place % len(MARKERS)]) for place, title in enumerate(dict.fromkeys(titles))}


def _draw_froc(axes: Axes, one: FrocSeries, *, place: tuple[str, str], fppi: Sequence[float], right: float) -> None:
    """Draw one system; a curve that ends early is drawn only as far as it goes, its end marked by a cross."""
    colour, marker = place
    end = max(one.fppi, default=0.0)
    if one.band:
        x, low, high = zip(*one.band, strict=True)
        axes.fill_between(x, low, high, step="post", color=colour, alpha=0.13, linewidth=0)
    axes.step([0.0, *one.fppi], [0.0, *one.sensitivity], where="post", color=colour, linewidth=1.8)
    axes.plot([], [], marker, color=colour, linestyle="-", linewidth=1.8, markersize=5, label=one.title)  # the legend's
    for x in fppi:
        reached = [value for at, value in zip(one.fppi, one.sensitivity, strict=True) if at <= x]
        axes.plot([x], [max(reached, default=0.0)], marker, color=colour, markersize=5)
    if end < right:
        axes.plot([end], [max(one.sensitivity, default=0.0)], "x", color=colour, markersize=7)


def _draw_losses(axes: Axes, rows: Sequence[EpochRow], *, terms: Sequence[str]) -> None:
    """Draw one training's terms; a term that it lacks is left out."""
    for index, term in enumerate(terms):
        drawn = [(row.epoch, row.losses[term]) for row in rows if term in row.losses]
        if any(value > 0 for _, value in drawn):  # terms that a training does not use are 0 in it
            colour = COLOURS[(index + 2) % len(COLOURS)]
            style = ":" if term == "total" else "-"  # a line that lies on the only other one shows
            axes.plot(
                *zip(*drawn, strict=True), style, color=colour, linewidth=1.6, label=TERMS.get(term, term), marker="."
            )
    axes.set(xlabel="epoch", xlim=(0.5, len(rows) + 0.5))
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.set_yscale("log")  # the terms differ by orders of magnitude
    axes.grid(axis="y", color="#eeeeee", linewidth=0.8)


def svg(figure: Figure) -> str:
    """Return the figure as SVG; letters become outlines, so it looks the same everywhere."""
    file = io.StringIO()
    figure.savefig(file, format="svg", metadata={"Date": None}, transparent=True)  # so that a dark page shows through
    return file.getvalue()
