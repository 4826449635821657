"""A sweep as SVG: its history, what matters, each key alone, all keys together."""

import math
from collections.abc import Mapping, Sequence

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator, NullLocator

from system.figures.curves import COLOURS, STYLE, svg
from system.figures.sweep_rows import SweepTrial
from system.settings import Value

_DONE, _STOPPED, _BEST = COLOURS[2], COLOURS[1], COLOURS[3]
_MAP = "cividis"
_SLICES_IN_A_ROW = 3


def history_figure(trials: Sequence[SweepTrial], *, measure: str) -> str:
    """Return each trial's value in the order of their beginning, and the best so far as steps; "" without a value."""
    shown = [(trial, value) for trial in trials if not math.isnan(value := value_of(trial))]
    if not shown:
        return ""
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(7.2, 3.2), layout="constrained")
        axes = figure.add_subplot()
        for state, marker, colour, label in (
            ("done", "o", _DONE, "finished"),
            ("stopped", "x", _STOPPED, "stopped early, at its last value"),
        ):
            points = [(trial.number, value) for trial, value in shown if trial.state == state]
            if points:
                axes.plot(*zip(*points, strict=True), marker, color=colour, markersize=5, label=label)
        done = [(trial.number, value) for trial, value in shown if trial.state == "done"]
        if done:
            numbers, values = zip(*done, strict=True)
            axes.step(numbers, np.maximum.accumulate(values), where="post", color=_BEST, linewidth=1.6, label="best")
        axes.set(xlabel="trial", ylabel=measure)
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        axes.grid(axis="y", color="#eeeeee", linewidth=0.8)
        figure.legend(loc="outside lower center", ncols=3, frameon=False)
        return svg(figure)


def importance_figure(importance: Mapping[str, float]) -> str:
    """Return how much of the values' variance each key explains, as bars; "" without one. importance: name → 0 to 1."""
    if not importance:
        return ""
    names = sorted(importance, key=lambda name: importance[name])
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(7.2, 0.9 + 0.32 * len(names)), layout="constrained")
        axes = figure.add_subplot()
        bars = axes.barh(names, [importance[name] for name in names], color=_DONE, height=0.65)
        axes.bar_label(bars, fmt="%.2f", padding=4, fontsize=9)
        axes.set(xlabel="share of the variance", xlim=(0, 1.12 * max(importance.values())))
        axes.tick_params(axis="y", length=0)
        return svg(figure)


def slice_figure(
    trials: Sequence[SweepTrial], names: Mapping[str, str], *, log_keys: Sequence[str], measure: str
) -> str:
    """Return each finished trial's value over each key alone, one panel a key; "" without one.

    names: dotted key → as it is shown;  log_keys: drawn by their logarithm
    """
    done = [trial for trial in trials if trial.state == "done" and not math.isnan(trial.mean)]
    if not done:
        return ""
    num_rows = math.ceil(len(names) / _SLICES_IN_A_ROW)
    with mpl.rc_context(STYLE):
        columns = min(_SLICES_IN_A_ROW, len(names))
        figure = Figure(figsize=(2.6 * columns, 2.3 * num_rows), layout="constrained")
        grid = figure.subplots(num_rows, columns, sharey=True, squeeze=False)
        for axes in grid.flat[len(names) :]:
            axes.set_visible(False)
        best = max(done, key=lambda trial: trial.mean)
        for axes, (key, name) in zip(grid.flat, names.items(), strict=False):
            _draw_slice(axes, [trial for trial in done if key in trial.setting], key, best=best, log=key in log_keys)
            axes.set_xlabel(name, fontsize=9)
            axes.tick_params(labelsize=8)
        for row in grid:
            row[0].set_ylabel(measure, fontsize=9)
        return svg(figure)


def _draw_slice(axes: Axes, done: Sequence[SweepTrial], key: str, *, best: SweepTrial, log: bool) -> None:
    values = [trial.setting[key] for trial in done]
    places, labels = axis_of(values)
    order = [trial.number for trial in done]
    axes.scatter(places, [trial.mean for trial in done], c=order, cmap=_MAP, s=18, alpha=0.85)
    if best in done:
        axes.plot(places[done.index(best)], best.mean, "o", color=_BEST, markersize=9, fillstyle="none")
    if labels:
        axes.set_xticks(range(len(labels)), labels)
        axes.set_xlim(-0.5, len(labels) - 0.5)
    elif log:
        axes.set_xscale("log")
        low, high = min(places), max(places)
        axes.set_xticks(np.geomspace(low, high, 3) if high > low else [low])
        axes.xaxis.set_major_formatter(lambda x, _: f"{x:.2g}")
        axes.xaxis.set_minor_locator(NullLocator())
    axes.grid(color="#eeeeee", linewidth=0.8)
    axes.set_axisbelow(True)


def parallel_figure(
    trials: Sequence[SweepTrial], names: Mapping[str, str], *, log_keys: Sequence[str], measure: str
) -> str:
    """Return every finished trial as a line over all keys and its value, the best one thick; "" without two keys."""
    done = [
        trial
        for trial in trials
        if trial.state == "done" and not math.isnan(trial.mean) and all(key in trial.setting for key in names)
    ]
    if len(done) < 2 or len(names) < 2:
        return ""
    done = sorted(done, key=lambda trial: trial.mean)
    columns: list[tuple[str, list[float], tuple[str, str]]] = []
    for key, name in names.items():
        places, labels = axis_of([trial.setting[key] for trial in done])
        ends = (labels[0], labels[-1]) if labels else (f"{min(places):.3g}", f"{max(places):.3g}")
        columns.append((name, [math.log(x) for x in places] if key in log_keys and not labels else places, ends))
    means = [trial.mean for trial in done]
    columns.append((measure, means, (f"{min(means):.3f}", f"{max(means):.3f}")))
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(max(7.2, 1.25 * len(columns)), 3.8), layout="constrained")
        axes = figure.add_subplot()
        scaled = np.array([_between_0_and_1(values) for _, values, _ in columns])  # [key, trial]
        colours = mpl.colormaps[_MAP](_between_0_and_1(means))
        for place in range(len(done)):
            is_best = place == len(done) - 1
            axes.plot(
                scaled[:, place],
                color=_BEST if is_best else colours[place],
                linewidth=2.4 if is_best else 0.9,
                alpha=1.0 if is_best else 0.55,
                zorder=3 if is_best else 1,
            )
        for place, (_, _, (low, high)) in enumerate(columns):
            axes.axvline(place, color="#aaaaaa", linewidth=0.8, zorder=0)
            axes.text(place, -0.04, low, ha="center", va="top", fontsize=8, color="#444444")
            axes.text(place, 1.03, high, ha="center", va="bottom", fontsize=8, color="#444444")
        axes.set_xticks(
            range(len(columns)), [name.replace("_", "_\n", 1) if len(name) > 14 else name for name, *_ in columns]
        )
        axes.tick_params(axis="x", length=0, pad=16, labelsize=8)
        axes.set(yticks=[], ylim=(-0.03, 1.03), xlim=(-0.4, len(columns) - 0.6))
        for side in ("left", "bottom"):
            axes.spines[side].set_visible(False)
        return svg(figure)


def _between_0_and_1(values: Sequence[float]) -> np.ndarray:
    found = np.asarray(values, float)
    span = found.max() - found.min()
    return (found - found.min()) / span if span else np.full(len(found), 0.5)


def axis_of(values: Sequence[Value]) -> tuple[list[float], list[str]]:
    """Return where values lie on an axis, and the words of its ticks; none for numbers."""
    if all(isinstance(value, float | int) and not isinstance(value, bool) for value in values):
        return [float(value) for value in values if value is not None], []
    words = [
        str(value).lower() if isinstance(value, bool) else "null" if value is None else str(value) for value in values
    ]
    known = sorted(set(words))
    return [float(known.index(word)) for word in words], known


def value_of(trial: SweepTrial) -> float:
    """Return a trial's value, of one that was stopped early its last; NaN without one."""
    if trial.state == "done":
        return trial.mean
    return trial.values[-1] if trial.state == "stopped" and trial.values else math.nan
