"""The log of a watched run's decisions: a line of JSON for each, written before it is carried out, never changed.

A line is on disk before anything follows from it. A line that a crash cut short is no line; the next one replaces it.
"""

import os
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from pydantic import TypeAdapter, ValidationError

from system.continuous.situation import Situation
from system.errors import UserError
from system.faults import storage
from system.files.json_in import first_mistake
from system.files.json_out import as_json

Kind = Literal["plan", "wait", "retrain", "refit labels", "alert", "notice", "judged", "failed"]
FILE = "decisions.jsonl"
_DONE: tuple[Kind, ...] = ("plan", "retrain", "judged", "failed")
_NUMBERS = re.compile(r"[+-]?\d[\d.,]*%?")


@dataclass(frozen=True)
class Line:
    """One decision."""

    number: int  # from 1
    at_s: float  # seconds since 1970
    plan: str  # digest of the plan by which it was taken
    kind: Kind
    reason: str
    model: str = ""  # that it is about; of "retrain", that the candidate goes on from
    round: int = 0  # of "retrain": that it begins
    situation: Situation | None = None  # that a decision was taken on

    @property
    def key(self) -> tuple[str, str]:
        """What makes it another decision: a reason whose numbers alone have moved on is the same one."""
        return self.kind, _NUMBERS.sub("#", self.reason)


_LINE = TypeAdapter(Line)


def read(folder: Path) -> list[Line]:
    """Return the lines of a log; none where there is no log. Raises UserError for a damaged one."""
    path = folder / FILE
    if not path.exists():
        return []
    with storage(folder):
        text = path.read_bytes()
    whole = text[: text.rfind(b"\n") + 1]
    lines: list[Line] = []
    for place, raw in enumerate(whole.splitlines(), start=1):
        try:
            line = _LINE.validate_json(raw)
        except ValidationError as error:
            raise _damaged(place, first_mistake(error)) from None
        if line.number != place:
            raise _damaged(place, f"its number is {line.number}")
        lines.append(line)
    return lines


def append(folder: Path, line: Line) -> None:
    """Add a line and wait until it is on disk. Raises MachineFault for what the storage does."""
    data = as_json_line(line)
    with storage(folder):
        folder.mkdir(parents=True, exist_ok=True)
        with (folder / FILE).open("a+b") as file:
            file.seek(0)
            text = file.read()
            file.truncate(text.rfind(b"\n") + 1)  # what a crash left of a line
            file.write(data)
            file.flush()
            os.fsync(file.fileno())


def as_json_line(line: Line) -> bytes:
    """Return a line as it is written."""
    return " ".join(part.strip() for part in as_json(line).splitlines()).encode() + b"\n"


def is_news(line: Line, lines: Sequence[Line]) -> bool:
    """Return whether a line is to be logged after these: not if it was, since anything was last done or failed."""
    if line.kind == "judged":  # once, also where a crash came between this line and the registry
        return not any((each.kind, each.model) == (line.kind, line.model) for each in lines)
    if line.kind in _DONE:
        return True
    since = next((place + 1 for place in reversed(range(len(lines))) if lines[place].kind in _DONE), 0)
    return line.key not in {each.key for each in lines[since:]}


def failures_in_a_row(lines: Sequence[Line]) -> int:
    """Return how many steps failed since the last that did not, by the log alone."""
    count = 0
    for line in reversed(lines):
        if line.kind != "failed":
            break
        count += 1
    return count


def last(lines: Sequence[Line], *kinds: Kind) -> Line | None:
    """Return the last line of these kinds."""
    return next((line for line in reversed(lines) if line.kind in kinds), None)


def _damaged(place: int, reason: str) -> UserError:
    return UserError(f"line {place} of {FILE} is not what was written ({reason}): restore the file")
