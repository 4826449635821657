"""The page about a sweep: one file, complete, drawn also where there is little to draw."""

import math
import re
from pathlib import Path

import pytest

from system.figures.rows import FrocSeries
from system.figures.sweep_curves import (
    axis_of,
    history_figure,
    importance_figure,
    parallel_figure,
    slice_figure,
    value_of,
)
from system.figures.sweep_page import SweepPage, write_sweep_page
from system.figures.sweep_rows import SweepResults
from system.figures.sweep_words import tables_of
from tests.system.figures.sweeps import trial

NAMES = {"loss.alpha": "alpha", "loss.mask_labels": "mask_labels"}
TRIALS = [
    trial(0, 0.5, setting={"loss.alpha": 0.25, "loss.mask_labels": "soft"}),
    trial(1, 0.7, setting={"loss.alpha": 0.5, "loss.mask_labels": "hard"}),
    trial(2, state="stopped", values=[0.2]),
    trial(3, state="failed", reason="<script>alert(1)</script>"),
]


def page_of(trials: list, **changes: object) -> SweepPage:
    given = {
        "name": "my <sweep>",
        "measure": "mean sensitivity",
        "sentences": ["Best on validation: trial 1."],
        "trials": trials,
        "names": NAMES,
        "log_keys": ["loss.alpha"],
        "importance": {"alpha": 0.8, "mask_labels": 0.2},
        "curves": [FrocSeries("start", [0.1, 1.0], [0.2, 0.5]), FrocSeries("best", [0.1, 1.0], [0.4, 0.7])],
        "fppi": (0.1, 1.0),
        "tables": list(tables_of(SweepResults(trials, len(trials), 0, {}, "mean sensitivity", ()))),
    } | changes
    return SweepPage(**given)  # type: ignore[arg-type]


def test_the_page_has_every_figure_and_table_and_loads_nothing(tmp_path: Path) -> None:
    write_sweep_page(page_of(TRIALS), tmp_path / "page.html")
    html = (tmp_path / "page.html").read_text(encoding="utf8")
    titles = ["History", "What matters", "Each setting alone", "All settings together", "The best against the start"]
    assert re.findall(r"<h2>(.*?)</h2>", html)[:5] == titles
    assert html.count("data:image/svg+xml;base64,") == 5
    assert "<script" not in html
    assert "&lt;script&gt;" in html
    assert not re.search(r"(src|href)=\"(?!data:)", html)
    assert (tmp_path / "page.html").stat().st_mode & 0o077 == 0


def test_a_sweep_that_has_just_begun_has_a_page_without_figures(tmp_path: Path) -> None:
    trials = [trial(0, state="running")]
    write_sweep_page(page_of(trials, importance={}, curves=[]), tmp_path / "page.html")
    assert "<img" not in (tmp_path / "page.html").read_text(encoding="utf8")


def test_the_history_shows_every_value_and_the_best_so_far() -> None:
    drawn = history_figure(TRIALS, measure="m")
    assert drawn.startswith("<?xml")
    assert drawn != history_figure(TRIALS[:2], measure="m")
    assert history_figure([trial(0, state="failed")], measure="m") == ""


def test_the_value_of_a_stopped_trial_is_its_last() -> None:
    assert value_of(TRIALS[2]) == 0.2
    assert math.isnan(value_of(TRIALS[3]))


def test_what_cannot_be_drawn_is_left_out() -> None:
    assert importance_figure({}) == ""
    assert slice_figure([trial(0, state="failed")], NAMES, log_keys=[], measure="m") == ""
    assert parallel_figure(TRIALS[:1], NAMES, log_keys=[], measure="m") == ""
    assert parallel_figure(TRIALS, {"loss.alpha": "alpha"}, log_keys=[], measure="m") == ""


def test_trials_that_lack_a_key_are_drawn_where_they_have_it() -> None:
    some = [*TRIALS[:2], trial(4, 0.6, setting={"loss.alpha": 0.3})]
    assert slice_figure(some, NAMES, log_keys=[], measure="m") != slice_figure(
        TRIALS[:2], NAMES, log_keys=[], measure="m"
    )
    assert parallel_figure(some, NAMES, log_keys=[], measure="m") == parallel_figure(
        TRIALS[:2], NAMES, log_keys=[], measure="m"
    )


def test_equal_values_and_single_ones_are_drawn_too() -> None:
    same = [trial(number, 0.5, setting={"loss.alpha": 0.25, "loss.mask_labels": "soft"}) for number in range(3)]
    assert parallel_figure(same, NAMES, log_keys=["loss.alpha"], measure="m")
    assert slice_figure(same, NAMES, log_keys=["loss.alpha"], measure="m")


@pytest.mark.parametrize(
    ("values", "places", "labels"),
    [
        ([0.1, 2], [0.1, 2.0], []),
        (["soft", "hard", "soft"], [1, 0, 1], ["hard", "soft"]),
        ([True, False, None], [2, 0, 1], ["false", "null", "true"]),
        ([0.1, None], [0, 1], ["0.1", "null"]),
    ],
)
def test_where_values_lie_on_an_axis(values: list, places: list, labels: list) -> None:
    assert axis_of(values) == (places, labels)
