"""The table of phrases behind benchmarks/reports_read.py: what the rules read of them, before and after scrubbing."""

import csv
import math
from pathlib import Path

import pytest

from system.archive.scrub import scrub
from system.records import Side
from system.reports.rules import read_by_rules
from system.reports.text import sections

LINES = list(
    csv.DictReader(
        (Path(__file__).parents[3] / "benchmarks" / "reports_read.csv").read_text(encoding="utf8").splitlines()
    )
)


def answers(text: str) -> tuple[str, str]:
    found = read_by_rules(sections(text, "", max_chars=4000))
    left, right = ("" if math.isnan(found[side]) else str(int(found[side])) for side in (Side.LEFT, Side.RIGHT))
    return left, right


@pytest.mark.parametrize("language", ["en", "zh", "pt"])
def test_phrases_are_read_right_and_scrubbing_changes_no_label(language: str) -> None:
    rows = [row for row in LINES if row["language"] == language]
    assert len(rows) >= 50
    wrong = [row["text"] for row in rows if answers(row["text"]) != (row["left"], row["right"])]
    changed = [row["text"] for row in rows if answers(scrub(row["text"], shift_days=-30)) != answers(row["text"])]
    assert len(wrong) <= 1
    assert not changed


@pytest.mark.parametrize("language", ["en", "zh", "pt"])
def test_the_identities_in_the_phrases_are_taken_out(language: str) -> None:
    rows = [row for row in LINES if row["language"] == language and row["identities"]]
    left = [
        identity
        for row in rows
        for identity in row["identities"].split("|")
        if identity in scrub(row["text"], shift_days=-30)
    ]
    assert rows
    assert not left
