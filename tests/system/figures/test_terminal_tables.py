"""The terminal's tables, as printed."""

import io
import re
from dataclasses import replace
from typing import Any

from rich.console import Console

from system.figures.rows import HeadlineRow, LabelRow, PoolRow, ReproducedRow
from system.figures.table import Table
from system.figures.tables import (
    group_table,
    headline_table,
    image_table,
    label_comparison,
    label_table,
    pool_table,
    reproduction_table,
)
from system.metrics.bootstrap import Interval
from system.metrics.subgroups import GroupRow


def printed(table: Table) -> str:
    file = io.StringIO()
    Console(file=file, width=160).print(table)
    return file.getvalue()


def line_of(table: Table, word: str) -> list[str]:
    title, _, *lines = printed(table).splitlines()
    assert title == table.title
    return next(re.split(r" {2,}", line.strip()) for line in lines if word in line)


def test_the_headline_compares_every_system_but_the_baseline_with_it() -> None:
    rows = [
        HeadlineRow("supervised", {"0.1": 0.25}, 0.25, (0.2, 0.3)),
        HeadlineRow("round 2", {"0.1": 0.5}, 0.5, (0.4, 0.6), 0.25, (0.1, 0.4)),
    ]
    table = headline_table(rows, baseline="supervised")
    assert line_of(table, "supervised") == ["supervised", "0.250", "0.250", "0.200 to 0.300", "–", "–"]
    assert line_of(table, "round 2") == ["round 2", "0.500", "0.500", "0.400 to 0.600", "+0.250", "+0.100 to +0.400"]


def test_pools_are_counted_per_round_and_p0() -> None:
    assert line_of(pool_table([PoolRow(2, 0.85, tp=1, fp=2, fn=3, tn=4, unused=5, disputed=6)]), "0.85") == [
        "2",
        "0.85",
        "1",
        "2",
        "6",
        "3",
        "4",
        "5",
    ]


def test_labels_are_shown_per_breast() -> None:
    row = LabelRow(
        "left",
        400,
        0.9729,
        0.9873,
        0.9872,
        auroc=0.99,
        ece_before=0.04,
        ece=0.012,
        brier=0.02,
        coverage={"0.95": 0.875},
    )
    expected = ["left", "0.973", "0.987", "0.987", "0.990", "0.040", "0.012", "0.020", "0.875", "400"]
    assert line_of(label_table([row]), "left") == expected


def test_the_note_on_the_labels_stands_below_their_table() -> None:
    table = label_table([LabelRow("left", 400, 0.9, 0.9, 0.9)], note="rules would fit better")
    assert "rules would fit better" in printed(table).splitlines()[-1]


def test_what_is_not_calibrated_has_a_dash() -> None:
    rows = [
        LabelRow("left", 400, 0.9, 0.9, 0.9, coverage={"0.95": 0.5}),
        LabelRow("left, by rules", 400, 0.8, 0.8, 0.8),
    ]
    assert line_of(label_table(rows), "by rules")[-6:] == ["–", "–", "–", "–", "–", "400"]


def words_of(table: Table, word: str) -> str:
    """The line with this word, its blanks made one."""
    return " ".join(next(line for line in printed(table).splitlines() if word in line).split())


def reproduced(**more: Any) -> ReproducedRow:
    plain = ReproducedRow(("10%", "no"), (0.25, 0.5), 0.375, (0.3, 0.45), (0.375,), {0.1: 0.426, 1.0: 0.705}, 0.564)
    return replace(plain, **more)


def test_our_numbers_stand_beside_the_papers() -> None:
    table = reproduction_table("Table 3", ("labelled", "weak"), [reproduced()], fppi=(0.1, 1.0), caption="One seed.")
    assert words_of(table, "10%") == "10% no 0.250 (0.426) 0.500 (0.705) 0.375 (0.564) 0.300 to 0.450 – – –"
    assert "seeds" not in words_of(table, "labelled")
    assert "One seed." in printed(table)


def test_what_the_paper_does_not_print_and_what_was_not_compared_is_left_out() -> None:
    nan = float("nan")
    rows = [
        reproduced(paper={0.1: nan}, paper_mean=nan),
        reproduced(gain=0.125, gain_interval=(-0.01, 0.2), more_steps=0.4, labels=("10%", "yes")),
    ]
    table = reproduction_table("Figure 4", ("labelled", "weak"), rows, fppi=(0.1, 1.0), caption="")
    assert words_of(table, "no ") == "10% no 0.250 0.500 0.375 0.300 to 0.450 – – –"
    assert words_of(table, "yes").endswith("0.375 (0.564) 0.300 to 0.450 +0.125 −0.010 to +0.200 0.400")


def test_several_seeds_are_shown_one_by_one() -> None:
    table = reproduction_table(
        "Table 3", ("labelled", "weak"), [reproduced(each=(0.35, 0.4))], fppi=(0.1, 1.0), caption=""
    )
    assert words_of(table, "10%").endswith("0.350 0.400")
    assert words_of(table, "labelled").endswith("seeds")


def test_the_papers_numbers_stand_at_its_own_operating_points_alone() -> None:
    table = reproduction_table(
        "Table 3", ("labelled", "weak"), [reproduced(paper_mean=float("nan"))], fppi=(0.3, 1.0), caption=""
    )
    assert words_of(table, "10%") == "10% no 0.250 0.500 (0.705) 0.375 0.300 to 0.450 – – –"


def test_table_2_has_four_decimals_as_printed() -> None:
    table = label_comparison({"left": (0.9, 0.95, 0.96)}, {"left": (0.9729, 0.9873, 0.9872)}, caption="")
    assert line_of(table, "left") == ["left", "0.9000 (0.9729)", "0.9500 (0.9873)", "0.9600 (0.9872)"]


def test_groups_are_named_by_what_they_part() -> None:
    table = group_table(
        "round 2, by parts", [GroupRow("view", "CC", 1200, 34, {"1": 0.5}, 0.5, Interval(0.4, 0.6, 100))]
    )
    assert line_of(table, "view") == [
        "view: CC",
        "0.500",
        "0.500",
        "0.400 to 0.600",
        "1\N{NARROW NO-BREAK SPACE}200",
        "34",
    ]


def test_image_level_measures_have_a_system_a_column() -> None:
    table = image_table(
        {
            "supervised": {"auroc": 0.75, "auroc interval": (0.7, 0.8)},
            "round 1": {"auroc": 0.8, "auroc interval": (0.75, 0.85)},
        }
    )
    assert line_of(table, "auroc ") == ["auroc", "0.750", "0.800"]
    assert line_of(table, "interval") == ["auroc interval", "0.700 to 0.800", "0.750 to 0.850"]
