"""The registry of an archive's models: a ledger of what became of each, from which follows which one is promoted.

Entries are only ever added, each by its number, on top of the ledger that it was decided on: of two writers at once the
second reads again and decides anew. So who did what, when and why stays for ever, and the promoted model changes in one
write.
"""

from collections.abc import Callable
from dataclasses import asdict, dataclass, field, replace
from itertools import takewhile
from typing import Literal, get_args

import pyarrow as pa
from pydantic import TypeAdapter, ValidationError

from system.archive import Archive
from system.archive.delta import Outdated
from system.archive.tables import SCHEMAS
from system.errors import UserError
from system.files.json_in import first_mistake
from system.files.json_out import Measured, as_json

Event = Literal["registered", "promoted", "held", "refused", "approved", "rolled back"]
Status = Literal["candidate", "promoted", "held", "refused", "retired"]

TABLE = "models"
BY_PLAN = "plan "  # how `by` begins where a plan decided; its digest follows
MODEL_HEX_DIGITS = 16  # of the digest of the weights that a model is named by
_STATUS: dict[Event, Status] = {
    "registered": "candidate",
    "promoted": "promoted",
    "approved": "promoted",
    "rolled back": "promoted",
    "held": "held",
    "refused": "refused",
}
_TRIES = 20  # of a write, where others write at once


@dataclass(frozen=True)
class Lineage:
    """Where a model comes from."""

    run: str  # its folder, where it lay then
    run_id: str  # RunFolder.identity, which a moved run keeps
    system: str  # its folder in the run: stage1, round_02
    checkpoint: str  # folder of its model.json
    parent: str  # the model that its training went on from; "" = none
    recipe: str  # digest of the run's settings
    plan: str  # digest of the plan by which it is judged; "" = none
    approver: str  # who must approve it, by that plan; "" = nobody
    archive_versions: dict[str, int]  # that its training read: table -> version
    code_digest: str  # of what trained it
    mean: Measured = float("nan")  # sensitivity on the run's test patients, 0 to 1


@dataclass(frozen=True)
class Said:
    """Who changes the registry, when and why. Raises UserError without a name or a reason."""

    at: str  # ISO 8601, UTC
    by: str  # a person, or "plan" and its digest
    why: str

    def __post_init__(self) -> None:
        for what, text in (("a reason", self.why), ("a name", self.by)):
            if not text.strip():
                raise UserError(f"the registry keeps who changed it and why: give {what}")


@dataclass(frozen=True)
class Entry:
    """One line of the ledger."""

    number: int  # from 1
    event: Event
    model: str
    said: Said
    lineage: Lineage | None = None  # of the entry "registered" alone


@dataclass(frozen=True)
class Model:
    """A model as the ledger leaves it."""

    name: str
    lineage: Lineage
    status: Status
    history: tuple[Entry, ...]


@dataclass(frozen=True)
class Registry:
    """The ledger, and what follows from it."""

    entries: tuple[Entry, ...] = ()
    models: dict[str, Model] = field(default_factory=dict[str, Model])  # in the order of their registration
    promoted: str = ""  # "" = none yet

    def find(self, name: str) -> Model:
        """Return a model by its name or the beginning of it. Raises UserError for none and for several."""
        found = [model for key, model in self.models.items() if name and key.startswith(name)]
        if len(found) == 1:
            return found[0]
        if found:
            raise UserError(f"{name!r} is the beginning of {len(found)} models: give more of the name")
        known = ", ".join(self.models) or "none"
        raise UserError(f"the registry has no model {name!r}: it has {known}")

    def before(self) -> Model:
        """Return the model that was promoted before the one that is now. Raises UserError where there was none."""
        earlier = [entry.model for entry in self.entries if _STATUS[entry.event] == "promoted"]
        others = [name for name in earlier if name != self.promoted]
        if not others:
            raise UserError("no model was promoted before this one: there is nothing to roll back to")
        return self.models[others[-1]]

    def looks(self, run_id: str) -> int:
        """Return how many candidates of a run a plan has judged on the run's fixed patients."""
        return sum(self._judged(entry) for entry in self._of(run_id))

    def refused_in_a_row(self, run_id: str) -> int:
        """Return how many of a run's last judged candidates were refused, since the last that was not."""
        concluded = [entry for entry in self._of(run_id) if entry.event != "registered"]
        return sum(1 for _ in takewhile(lambda entry: entry.event == "refused", reversed(concluded)))

    def held(self, run_id: str) -> str:
        """Return the last model of a run that waits for approval; "" = none does."""
        models = [model for model in self.models.values() if model.lineage.run_id == run_id]
        return next((model.name for model in reversed(models) if model.status == "held"), "")

    def _of(self, run_id: str) -> list[Entry]:
        return [entry for entry in self.entries if self.models[entry.model].lineage.run_id == run_id]

    def _judged(self, entry: Entry) -> bool:
        """Return whether a plan has judged here; the first model is adopted, and a person's decision is none of it."""
        by_plan = entry.said.by.startswith(BY_PLAN) and bool(self.models[entry.model].lineage.parent)
        return by_plan and entry.event in ("promoted", "held", "refused")

    def with_entry(self, entry: Entry) -> "Registry":
        """Return the registry after one more entry. Raises ValueError for one that cannot follow."""
        known = self.models.get(entry.model)
        if entry.number != len(self.entries) + 1 or (known is None) != (entry.event == "registered"):
            raise ValueError(f"entry {entry.number} ({entry.event}) does not follow the {len(self.entries)} before it")
        lineage = entry.lineage if known is None else known.lineage
        if lineage is None:
            raise ValueError(f"entry {entry.number} registers a model without its lineage")
        status, models = _STATUS[entry.event], dict(self.models)
        if status == "promoted" and self.promoted and self.promoted != entry.model:
            models[self.promoted] = replace(models[self.promoted], status="retired")
        history = (*(known.history if known else ()), entry)
        models[entry.model] = Model(entry.model, lineage, status, history)
        return Registry((*self.entries, entry), models, entry.model if status == "promoted" else self.promoted)


Decide = Callable[[Registry], Entry | None]
"""Returns the entry to add to a registry, None where nothing is to be added any more; raises UserError."""


def read(archive: Archive) -> Registry:
    """Return the registry of an archive. Raises UserError for a ledger that is not what was written."""
    return _registry(archive.table(TABLE))


def add(archive: Archive, decide: Decide) -> Registry:
    """Add the entry that `decide` returns for the registry as it is, and return the registry after it.

    Where another writer was first, `decide` is asked again.
    """
    for _ in range(_TRIES):
        version = archive.version(TABLE)
        registry = read(archive)
        if (entry := decide(registry)) is None:
            return registry
        after = registry.with_entry(entry)
        try:
            archive.upsert(TABLE, _row(entry), based_on=version)
        except Outdated:
            continue
        return after
    raise UserError(f"other writers changed the registry {_TRIES} times in a row: try again")


def register(name: str, lineage: Lineage, *, said: Said) -> Decide:
    """Return the decision to take a model in; nothing to do where it is there."""
    return lambda registry: None if name in registry.models else _next(registry, "registered", name, said, lineage)


def conclude(name: str, event: Literal["promoted", "held", "refused"], *, said: Said) -> Decide:
    """Return the decision on a candidate; nothing to do where it was decided on in this way."""

    def decide(registry: Registry) -> Entry | None:
        model = registry.find(name)
        if model.status == _STATUS[event]:
            return None
        if event != "promoted" and model.status not in ("candidate", "held"):
            raise UserError(f"model {model.name} is {model.status}: only a candidate can be {event}")
        return _next(registry, event, model.name, said)

    return decide


def approve(name: str, *, said: Said) -> Decide:
    """Return the approval of a model that is held for it, by the person whom the plan names."""

    def decide(registry: Registry) -> Entry | None:
        model = registry.find(name)
        if model.status != "held":
            raise UserError(f"model {model.name} is {model.status}, not held: there is nothing to approve")
        if model.lineage.approver and model.lineage.approver != said.by.strip():
            raise UserError(
                f"model {model.name} waits for approval by {model.lineage.approver}, whom its plan names; "
                f"found {said.by!r}"
            )
        return _next(registry, "approved", model.name, said)

    return decide


def roll_back(name: str, *, said: Said) -> Decide:
    """Return the return to a model that was promoted before. name: "" = the one before this."""

    def decide(registry: Registry) -> Entry | None:
        model = registry.find(name) if name else registry.before()
        if model.name == registry.promoted:
            return None
        if not any(_STATUS[each.event] == "promoted" for each in model.history):
            raise UserError(
                f"model {model.name} was never promoted, so there is no way back to it: `mammoloop models promote` "
                "promotes it, with a name and a reason"
            )
        return _next(registry, "rolled back", model.name, said)

    return decide


def _next(registry: Registry, event: Event, model: str, said: Said, lineage: Lineage | None = None) -> Entry:
    return Entry(len(registry.entries) + 1, event, model, said, lineage)


def _registry(rows: pa.Table) -> Registry:
    registry = Registry()
    try:
        for row in sorted(rows.to_pylist(), key=lambda row: row["entry"]):
            lineage = TypeAdapter(Lineage).validate_json(row["lineage"]) if row["lineage"] else None
            if row["event"] not in get_args(Event):
                raise ValueError(f"no such event: {row['event'][:20]!r}")
            said = Said(row["at"], row["by"], row["why"])
            registry = registry.with_entry(Entry(int(row["entry"]), row["event"], row["model"], said, lineage))
    except ValidationError as error:
        raise _damaged(first_mistake(error)) from None
    except (ValueError, TypeError, KeyError) as error:
        raise _damaged(str(error)) from None
    return registry


def _damaged(reason: str) -> UserError:
    return UserError(f"the table {TABLE} of the archive is not what was written ({reason}): restore it")


def _row(entry: Entry) -> pa.Table:
    row = {
        "entry": f"{entry.number:06d}",
        "event": entry.event,
        "model": entry.model,
        **asdict(entry.said),
        "lineage": as_json(entry.lineage) if entry.lineage else "",
    }
    return pa.Table.from_pylist([row], schema=SCHEMAS[TABLE])
