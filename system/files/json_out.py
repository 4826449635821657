"""Plain values and records as JSON that every program reads: null stands for NaN, which JSON does not have."""

import json
import math
import sys
from pathlib import Path
from typing import Annotated

from pydantic import BeforeValidator, TypeAdapter

from system.files.atomic import PLAIN, write_text

STDOUT = Path("-")
"""Stands for standard output where a file of JSON is named."""

Measured = Annotated[float, BeforeValidator(lambda value: math.nan if value is None else value)]
"""A number that may be NaN, because nothing could be measured; null in JSON."""

Ends = tuple[Measured, Measured]
"""The low and the high end of a 95 % interval; both NaN where there is none."""


def as_json(value: object) -> str:
    """Return plain values and records (dataclasses, pydantic models) as JSON."""
    plain = TypeAdapter(object).dump_python(value, mode="json")
    return json.dumps(_without_nan(plain), indent=1, ensure_ascii=False, allow_nan=False)


def write_json(path: Path, value: object, *, mode: int = PLAIN) -> None:
    """Write a record as JSON into a file, or onto standard output.

    mode: permission bits of the file
    """
    if path == STDOUT:
        sys.stdout.write(as_json(value) + "\n")
    else:
        write_text(path, as_json(value), mode=mode)


def _without_nan(value: object) -> object:
    match value:
        case dict():
            return {key: _without_nan(each) for key, each in value.items()}
        case list() | tuple():
            return [_without_nan(each) for each in value]
        case float() if math.isnan(value):
            return None
    return value
