"""Decide whether an archive and a run are what they must be after a strike. Pure: states in, findings out.

A finding is one sentence. Keys of rows are keyed hashes of synthetic ids.
"""

import json
import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from tests.chaos.schedule import Strike

MANIFEST = "manifest.json"
PARTIAL = re.compile(r"(\.part|\.tmp|\.partial|#\d+|(^|/)tmp\w{8})$|/probe-\w+$")
"""Names of what is still being written: our files, Delta's commits, parts of object_store, tempfile's; probes."""
TIMED = frozenset(
    {"duration_s", "start_s", "images_per_s", "wait_share", "num_predictors", "seconds", "pixel_mib", "written_mib"}
    | {"num_earlier_shards", "last_epoch", "versions", "table_ids"}
)
"""Keys of a stage's result that tell of speed, of what one start did, or of a table's commits and drawn id."""
NOT_COMPARED = frozenset({"epochs.jsonl"})  # speeds
SHOWN = 3  # names in a finding
DISK_OR_STORE_FULL, MISTAKE, KILLED, TERMINATED = 75, 2, 137, 143
TRACEBACK = "Traceback (most recent call last)"
KNOWN_MISTAKES: dict[str, str] = {"412": "was written by another miner"}  # fault -> what exit 2 may say after it

Rows = Mapping[str, Sequence[tuple[str, str]]]
"""Table -> (key, digest) of each row."""


@dataclass(frozen=True)
class State:
    """What an archive and a run hold at one time."""

    rows: Rows = field(default_factory=dict[str, Sequence[tuple[str, str]]])
    manifests: Mapping[str, str] = field(default_factory=dict[str, str])  # folder of a stage -> text of its manifest
    files: Mapping[str, str] = field(default_factory=dict[str, str])  # every file or object by its place -> digest


@dataclass
class Facts:
    """What was seen once and must stay."""

    rows: dict[str, dict[str, str]] = field(default_factory=dict[str, dict[str, str]])  # table -> key -> digest
    files: dict[str, str] = field(default_factory=dict[str, str])


def sentence(names: Sequence[str], what: str) -> list[str]:
    """Return the finding that some things have a fault; none without such things."""
    more = f" and {len(names) - SHOWN} more" if len(names) > SHOWN else ""
    return [f"{len(names)} {what}: {', '.join(names[:SHOWN])}{more}"] if names else []


def durable_files(state: State) -> dict[str, str]:
    """Return what never changes once it is there.

    That is manifests and the files they list, entries of the miner's journal, its pools, stored pixels.
    """
    listed = {place for stage, text in state.manifests.items() for place in _listed(stage, text)}
    listed |= {f"{stage}/{MANIFEST}" for stage in state.manifests}
    kept = re.compile(r"(^|/)(miner/(journal|pools)/[^/]+\.arrow|pixels/../\w+\.png)$")
    return {place: each for place, each in state.files.items() if place in listed or kept.search(place)}


def lost(seen: Facts, now: State, *, end: State) -> list[str]:
    """Find rows and files that were there and are not as they were.

    end: of the calm run; a row may have become what it is there, and may be gone where it is gone there
    """
    found = []
    for table, known in seen.rows.items():
        rows, final = dict(now.rows.get(table, ())), dict(end.rows.get(table, ()))
        gone = [key for key in known if key not in rows and key in final]
        other = [key for key in known if key in rows and rows[key] not in (known[key], final.get(key))]
        found += sentence(gone, f"rows of {table} are lost") + sentence(other, f"rows of {table} have changed")
    gone = [place for place in seen.files if place not in now.files]
    other = [place for place, each in seen.files.items() if now.files.get(place, each) != each]
    return found + sentence(gone, "files that were whole are lost") + sentence(other, "finished files have changed")


def doubled(now: State) -> list[str]:
    """Find rows whose key is there twice."""
    found = []
    for table, rows in now.rows.items():
        twice = [key for key, count in Counter(key for key, _ in rows).items() if count > 1]
        found += sentence(twice, f"rows of {table} are there twice")
    return found


def unfinished(now: State) -> list[str]:
    """Find manifests that cannot be read or list what is not there, and gaps in the miner's journal."""
    found = []
    for stage, text in now.manifests.items():
        if not _whole(text):
            found.append(f"the manifest of {stage} is not whole")
        absent = [place for place in _listed(stage, text) if place not in now.files]
        found += sentence(absent, f"files that the manifest of {stage} lists are not there")
    entries = sorted(int(each[1]) for place in now.files if (each := re.search(r"miner/journal/(\d+)\.arrow$", place)))
    if entries != list(range(len(entries))):
        found.append(f"the miner's journal has gaps: {len(entries)} entries, the last is {entries[-1]}")
    return found


def unacknowledged(said: Mapping[str, int], before: State, now: State, *, end: State) -> list[str]:
    """Find tables with fewer rows of this command than it has said. end: of the calm run."""
    found = []
    for table, count in said.items():
        new = set(end.rows.get(table, ())) - set(before.rows.get(table, ()))
        there = len(new & set(now.rows.get(table, ())))
        if there < min(count, len(new)):
            found.append(f"{table}: {count} rows were acknowledged, {there} are there")
    return found


def unlike(now: State, calm: State) -> list[str]:
    """Find where the end differs from that of the calm run: rows, stages, their results, their files, stored pixels."""
    found = []
    for table in sorted({*now.rows, *calm.rows}):
        ours, theirs = Counter(now.rows.get(table, ())), Counter(calm.rows.get(table, ()))
        found += sentence([key for key, _ in theirs - ours], f"rows of {table} are not those of the calm run")
        found += sentence([key for key, _ in ours - theirs], f"rows of {table} are unknown to the calm run")
    found += sentence(sorted(set(calm.manifests) - set(now.manifests)), "stages are not done")
    found += sentence(sorted(set(now.manifests) - set(calm.manifests)), "stages are unknown to the calm run")
    for stage in sorted(set(calm.manifests) & set(now.manifests)):
        found += _unlike_stage(stage, now, calm)
    pixels = {place: each for place, each in calm.files.items() if "/pixels/" in place}
    return found + sentence([place for place, each in pixels.items() if now.files.get(place) != each], "pixels differ")


def _unlike_stage(stage: str, now: State, calm: State) -> list[str]:
    ours, theirs = (_untimed(_whole(state.manifests[stage]).get("result")) for state in (now, calm))
    files, expected = (_digests(stage, state) for state in (now, calm))
    found = [] if ours == theirs else [f"the result of {stage} is not that of the calm run"]
    names = sorted(name for name in {*files, *expected} if files.get(name) != expected.get(name))
    return found + sentence(names, f"files of {stage} are not those of the calm run")


def _digests(stage: str, state: State) -> dict[str, str]:
    """Return the digests of a stage's files by name, whatever its attempt is called."""
    places = _listed(stage, state.manifests[stage])
    named = {place.removeprefix(f"{stage}/").partition("/")[2]: place for place in places}
    return {name: state.files.get(place, "") for name, place in named.items() if name not in NOT_COMPARED}


def _untimed(value: Any) -> Any:
    match value:
        case dict():
            return {key: _untimed(each) for key, each in value.items() if key not in TIMED}
        case list():
            return [_untimed(each) for each in value]
    return value


def _whole(text: str) -> dict[str, Any]:
    """Return a manifest; an empty one where the text is not that of a whole manifest."""
    try:
        found = json.loads(text)
    except ValueError:
        return {}
    return found if isinstance(found, dict) and {"attempt", "files", "result"} <= found.keys() else {}


def _listed(stage: str, text: str) -> list[str]:
    """Return the places of the files that a manifest lists."""
    manifest = _whole(text)
    return [f"{stage}/{manifest['attempt']}/{name}" for name in manifest.get("files", [])]


def partial(now: State) -> list[str]:
    """Find files that were still being written."""
    return sentence([place for place in now.files if PARTIAL.search(place)], "partial files are left")


def ended_wrongly(strike: Strike, *, struck: bool, code: int, errors: str) -> list[str]:
    """Find what is wrong with how a start of the command ended.

    struck: whether it is this start that was struck;  code: as a shell has it, 128 + n for signal n
    errors: what it wrote to standard error
    """
    allowed = {0, DISK_OR_STORE_FULL}
    if struck and strike.victim == "driver":
        allowed |= {"KILL": {KILLED}, "HALT": {KILLED}, "TERM": {TERMINATED}}.get(strike.fault, set())
    if code == MISTAKE and (known := KNOWN_MISTAKES.get(strike.fault, "")) and known in errors:
        allowed.add(MISTAKE)
    found = [f"a traceback on standard error: {_last_line(errors)}"] if TRACEBACK in errors else []
    return found if code in allowed else [*found, f"exit code {code}: {_last_line(errors)}"]


def quoted(output: str, private: Iterable[str]) -> list[str]:
    """Find texts that must stay private in what a command wrote; findings quote their beginnings, synthetic ones."""
    return sentence([f"{text[:12]!r}…" for text in private if text in output], "private texts are quoted")


def _last_line(text: str) -> str:
    lines = text.strip().splitlines()
    return lines[-1][:200] if lines else "nothing on standard error"
