"""When a run was started, and on which hardware: one line per start, in starts.jsonl of its folder."""

from dataclasses import dataclass
from pathlib import Path

from pydantic import TypeAdapter, ValidationError

from system.errors import UserError
from system.files.atomic import append_line
from system.files.json_in import first_mistake

STARTS = "starts.jsonl"


@dataclass(frozen=True)
class Start:
    """One start of a run."""

    at: str  # ISO 8601, UTC
    hardware: str  # in words; no name of a machine or a person


_START: TypeAdapter[Start] = TypeAdapter(Start)


def note_start(run: Path, start: Start) -> None:
    """Add a start to the run's folder. Raises MachineFault for what the storage does."""
    append_line(run / STARTS, _START.dump_json(start).decode() + "\n")


def starts_of(run: Path) -> list[Start]:
    """Return the run's starts, the first one first; none of a run that was begun before they were noted.

    Raises UserError where the file is not what was written.
    """
    try:
        lines = (run / STARTS).read_bytes().split(b"\n")[:-1]  # a line that is being written is not read yet
    except FileNotFoundError:
        return []
    try:
        return [_START.validate_json(line) for line in lines]
    except ValidationError as error:
        raise UserError(
            f"{STARTS} of run {run.name} is not what was written ({first_mistake(error)}): restore it, or remove it; "
            "it holds times and hardware alone"
        ) from None
