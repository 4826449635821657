"""The terminal's tables, as printed."""

import io

from rich.console import Console
from rich.table import Table

from system.figures import HeadlineRow, LabelRow, PoolRow, headline_table, label_table, pool_table


def printed(table: Table) -> str:
    file = io.StringIO()
    Console(file=file, width=160).print(table)
    return file.getvalue()


def line_of(table: Table, word: str) -> list[str]:
    return next([cell.strip() for cell in line.split("│")[1:-1]] for line in printed(table).splitlines() if word in line and "│" in line)


def test_the_headline_compares_every_system_but_the_baseline_with_it():
    rows = [
        HeadlineRow("supervised", {"0.1": 0.25}, 0.25, (0.2, 0.3)),
        HeadlineRow("round 2", {"0.1": 0.5}, 0.5, (0.4, 0.6), 0.25, (0.1, 0.4)),
    ]
    table = headline_table(rows, baseline="supervised")
    assert line_of(table, "supervised") == ["supervised", "0.250", "0.250", "0.200 to 0.300", "", ""]
    assert line_of(table, "round 2") == ["round 2", "0.500", "0.500", "0.400 to 0.600", "+0.250", "+0.100 to +0.400"]


def test_pools_are_counted_per_round_and_p0():
    assert line_of(pool_table([PoolRow(2, 0.85, tp=1, fp=2, fn=3, tn=4, unused=5)]), "0.85") == ["2", "0.85", "1", "2", "3", "4", "5"]


def test_labels_are_shown_per_breast():
    row = LabelRow("left", 400, 0.9729, 0.9873, 0.9872, auroc=0.99, ece_before=0.04, ece=0.012, brier=0.02, coverage={"0.95": 0.875})
    expected = ["left", "0.973", "0.987", "0.987", "0.990", "0.040", "0.012", "0.020", "0.875", "400"]
    assert line_of(label_table([row]), "left") == expected


def test_what_is_not_calibrated_has_a_dash():
    rows = [LabelRow("left", 400, 0.9, 0.9, 0.9, coverage={"0.95": 0.5}), LabelRow("left, by rules", 400, 0.8, 0.8, 0.8)]
    assert line_of(label_table(rows), "by rules")[-6:] == ["–", "–", "–", "–", "–", "400"]
