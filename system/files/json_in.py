"""Read JSON that we wrote, which somebody may have cut, edited or removed since."""

import json
from pathlib import Path
from typing import TypeVar

from pydantic import TypeAdapter, ValidationError

from system.errors import UserError

Record = TypeVar("Record")


def read_record(path: Path, kind: TypeAdapter[Record], *, remedy: str) -> Record:
    """Return the record that a JSON file holds.

    remedy: what to do for a file that is absent or not what was written, e.g. "restore it"

    Raises UserError with the file, the first place that is wrong, and the remedy.
    """
    try:
        return kind.validate_json(path.read_bytes())
    except FileNotFoundError:
        raise UserError(f"{path.name} is missing in {path.parent.name}: {remedy}") from None
    except ValidationError as error:
        raise UserError(
            f"{path.name} of {path.parent.name} is not what was written ({first_mistake(error)}): {remedy}"
        ) from None


def parse(text: str | bytes) -> object:
    """Return the value of a JSON text. Raises ValueError for what is none, however deep it is nested."""
    try:
        return json.loads(text)
    except RecursionError:
        raise ValueError("brackets without end") from None


def first_mistake(error: ValidationError) -> str:
    """Return where a record is wrong first, and how; nothing of its content."""
    first = error.errors(include_input=False)[0]
    place = ".".join(map(str, first["loc"]))
    return f"{place}: {first['msg']}" if place else first["msg"]
