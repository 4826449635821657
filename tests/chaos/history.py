"""What the product has acknowledged, one fact a line of JSON, in the order in which it was seen."""

import json
import re
from collections.abc import Iterable
from pathlib import Path

from tests.chaos.checks import Facts, State, durable_files

# Lines by which a command acknowledges rows: the table, the pattern, and rows for each counted thing.
SAID: tuple[tuple[str, re.Pattern[str], int], ...] = (
    ("files", re.compile(r"read (\d+) of \d+ files"), 1),
    ("reports", re.compile(r"(\d+) reports taken in"), 1),
    ("labels", re.compile(r"(\d+) of \d+ new reports labelled"), 2),  # both breasts
)
VERDICTS = re.compile(r"verdicts: ([^;]*);")


def said(text: str) -> dict[str, int]:
    """Return how many rows of each table the output of one start has acknowledged: its last word counts."""
    found = {}
    for table, pattern, rows in SAID:
        if counts := pattern.findall(text):
            found[table] = rows * int(counts[-1])
    if verdicts := VERDICTS.findall(text):
        found["verdicts"] = sum(map(int, re.findall(r"\d+", verdicts[-1])))
    return found


class History:
    """The facts of one strike. What was seen once must stay; a file of the history keeps the facts of all strikes."""

    def __init__(self, path: Path, *, strike: int) -> None:
        self._path, self._strike = path, strike
        self.facts = Facts()
        self.said: dict[str, int] = {}  # table -> rows acknowledged by all starts so far

    def see(self, state: State, *, start: int) -> None:
        """Add every row and every durable file that was not seen before. start: of the command, from 1; 0 = before."""
        new = []
        for table, rows in state.rows.items():
            known = self.facts.rows.setdefault(table, {})
            new += [{"row": table, "key": key, "digest": digest} for key, digest in rows if known.get(key) != digest]
            known.update(rows)
        files = durable_files(state)
        new += [{"file": name, "digest": each} for name, each in files.items() if self.facts.files.get(name) != each]
        self.facts.files.update({name: each for name, each in files.items() if name not in self.facts.files})
        self._write(new, start=start)

    def hear(self, text: str, *, start: int) -> None:
        """Add what the output of one start of the command acknowledged."""
        counts = said(text)
        for table, count in counts.items():
            self.said[table] = self.said.get(table, 0) + count
        self._write([{"said": table, "rows": count} for table, count in counts.items()], start=start)

    def _write(self, facts: Iterable[dict[str, str | int]], *, start: int) -> None:
        with self._path.open("a", encoding="utf8") as file:
            file.writelines(json.dumps({"strike": self._strike, "start": start} | fact) + "\n" for fact in facts)
