"""How reports are read and scrubbed, per language: labels of breasts, identities taken out, findings lost.

python benchmarks/reports_read.py

`reports_read.csv` holds lines as radiologists write them, with the right answer for each breast (1 a mass, 0 none,
empty not mentioned) and the identities in them. The half "seen" was written before or with the rules in
system/report_words.py, system/reports/rules.py and system/archive/scrub*.py and was used to mend them. The half
"unseen" was written after them: of its first 78 lines six were read or scrubbed wrongly; these were mended, count as
seen since, and others took their place. All names and numbers are invented.
"""

import argparse
import csv
import math
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from system.archive.scrub import scrub
from system.records import Side
from system.reports.rules import read_by_rules
from system.reports.text import sections

TABLE = Path(__file__).with_name("reports_read.csv")
SHIFT_DAYS = -30  # no identity may stay at a shift of its date


@dataclass(frozen=True)
class Line:
    """One line of the table."""

    language: str
    half: str  # "seen" or "unseen"
    text: str
    truth: tuple[str, str]  # left, right: "1", "0" or ""
    identities: tuple[str, ...]


def read_table(path: Path = TABLE) -> list[Line]:
    """Return the table's lines."""
    with path.open(encoding="utf8", newline="") as file:
        rows = list(csv.DictReader(file))
    return [
        Line(
            row["language"],
            row["half"],
            row["text"],
            (row["left"], row["right"]),
            tuple(filter(None, row["identities"].split("|"))),
        )
        for row in rows
    ]


def answers(text: str) -> tuple[str, str]:
    """Return left and right as the rules read them: "1", "0" or ""."""
    found = read_by_rules(sections(text, "", max_chars=4000))
    left, right = ("" if math.isnan(found[side]) else str(int(found[side])) for side in (Side.LEFT, Side.RIGHT))
    return left, right


def main() -> None:
    """Print one row per language and half, and with --wrong the lines that are not as they should be."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--wrong", action="store_true", help="print the lines behind the numbers")
    args = parser.parse_args()
    lines = read_table()
    print("language  half    lines  right before  right after  lost or changed  identities taken out")
    for half in ("seen", "unseen"):
        for language in ("en", "zh", "pt"):
            show(language, half, [line for line in lines if (line.language, line.half) == (language, half)])
    if args.wrong:
        for line in lines:
            explain(line)


def show(language: str, half: str, lines: list[Line]) -> None:
    """Print the numbers of some lines; labels are counted by breast."""
    before = [answers(line.text) for line in lines]
    after = [answers(scrub(line.text, shift_days=SHIFT_DAYS)) for line in lines]
    truth = [line.truth for line in lines]
    changed = len(lines) * 2 - _agree(before, after)
    identities = [(line, identity) for line in lines for identity in line.identities]
    gone = sum(identity not in scrub(line.text, shift_days=SHIFT_DAYS) for line, identity in identities)
    total = 2 * len(lines)
    right_before, right_after = _agree(before, truth), _agree(after, truth)
    print(
        f"{language:8}  {half:6}  {len(lines):5}  {right_before:6} / {total:3}  {right_after:5} / {total:3}"
        f"  {changed:15}  {gone:12} / {len(identities)}"
    )


def explain(line: Line) -> None:
    """Print a line that is read or scrubbed wrongly."""
    clean = scrub(line.text, shift_days=SHIFT_DAYS)
    before, after = answers(line.text), answers(clean)
    left = [identity for identity in line.identities if identity in clean]
    if (before, after) != (line.truth, line.truth) or left:
        print(
            f"{line.half} {line.language} {line.text}\n"
            f"    right {line.truth}, read {before}, scrubbed {after}; left in {left}"
        )


def _agree(ones: Iterable[tuple[str, str]], others: Iterable[tuple[str, str]]) -> int:
    return sum(a == b for one, other in zip(ones, others, strict=True) for a, b in zip(one, other, strict=True))


if __name__ == "__main__":
    main()
