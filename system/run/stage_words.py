"""A stage for people: what it does, in which part of the run, and how long it took the last time."""

import re
from collections.abc import Collection
from contextlib import suppress
from pathlib import Path

from system.durations import duration_in_words
from system.errors import UserError
from system.files.json_in import parse

_DOES = {
    "labels": "label",
    "archive": "pin the archive",
    "checkpoint": "train",
    "held_out": "infer held-out images",
    "thresholds": "thresholds",
    "froc": "evaluate on test",
    "froc_validation": "evaluate on validation",
    "validated": "validate",
    "predictions": "infer",
    "pools": "mine",
    "promotion": "promote",
    "chosen": "choose the result",
    "result": "keep the result",
    "exams": "write synthetic exams",
    "ingested": "ingest",
}
_ORDER = {
    does: place
    for place, does in enumerate(
        ("labels", "predictions", "pools", "checkpoint", "held_out", "thresholds", "froc", "validated")
    )
}
_AT_ONCE = frozenset({"archive", "promotion", "chosen", "result"})
_MEASURES = frozenset({"held_out", "thresholds", "froc", "validated"})  # the same work for every system of a run


def at_once(name: str) -> bool:
    """Return whether a stage is a decision: it has one line, when it is made."""
    return re.sub(r"_\d+$", "", name.rpartition("/")[2]) in _AT_ONCE


def in_words(name: str) -> str:
    """Return a stage's name for people, e.g. "round 2, retrain" for `round_02/checkpoint`."""
    part, _, does = name.rpartition("/")
    where = part.rpartition("/")[2]
    words = "retrain" if does == "checkpoint" and where.startswith("round_") else _DOES.get(does)
    if words is None:
        words = _words_of_variant(does)
    return f"{system_in_words(where)}, {words}" if where else words


def _words_of_variant(does: str) -> str:
    """Return what a stage does whose name goes on with a number or a digest."""
    if does.startswith("predictions_"):
        return "infer"
    again = re.fullmatch(r"(labels|archive|chosen|thresholds|froc_validation|froc)_(by_)?\w+", does)
    if again is None:
        return does.replace("_", " ")
    return f"{_DOES[again[1]]}{' by other rules' if again[2] else ' anew'}"


def system_in_words(folder: str) -> str:
    """Return a system's folder for people, e.g. "round 2" for `round_02`, "stage 1" for `stage1`."""
    numbered = re.fullmatch(r"(stage|round|control)_?(\d+)", folder)
    return f"{numbered[1]} {int(numbered[2])}" if numbered else folder.replace("_", " ")


def taken_over(names: Collection[str]) -> str:
    """Return which stages of a run are done already, e.g. "label; stage 1; round 1: infer, mine"."""
    parts: dict[str, list[str]] = {}
    for name in sorted(names, key=lambda name: (_ORDER.get(name.rpartition("/")[2], len(_ORDER)), name)):
        if not at_once(name):
            parts.setdefault(name.rpartition("/")[0], []).append(in_words(name).rpartition(", ")[2])
    words = parts.pop("", [])
    for part in sorted(parts, key=lambda part: (part != "stage1", part.rpartition("_")[2], part)):
        last = "promotion" if part.startswith("round_") else "froc"
        whole = f"{part}/{last}" in names
        words.append(system_in_words(part) + ("" if whole else f": {', '.join(parts[part])}"))
    return "; ".join(words)


def took_before(run: Path, name: str) -> str:
    """Return how long the stage took in the part of the run before this one, "" where it was not done there."""
    part, _, does = name.rpartition("/")
    for earlier in _parts_before(part, does):
        with suppress(OSError, ValueError, UserError, KeyError, TypeError):
            duration_s = float(parse((run / earlier / does / "manifest.json").read_bytes())["seconds"])  # type: ignore[index]
            return f"{duration_in_words(duration_s)} in {system_in_words(earlier)}"
    return ""


def _parts_before(part: str, does: str) -> list[str]:
    """Return the folders of a run in which the same was done before, the latest first."""
    numbered = re.fullmatch(r"(round|control)_(\d+)", part)
    if not numbered:
        return []
    kind, number = numbered[1], int(numbered[2])
    found = [f"{kind}_{earlier:02d}" for earlier in range(number - 1, 0, -1)]
    if does in _MEASURES:
        found += [*(["round_01"] if kind == "control" else []), "stage1"]
    return found
