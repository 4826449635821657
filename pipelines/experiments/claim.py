"""Mark a folder as belonging to one experiment, so that another is not mixed into it."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

from system.config import NOT_IN_RECIPE
from system.errors import UserError
from system.files.atomic import write_text
from system.settings import different_keys


def claim(file: Path, description: str, *, what: str) -> None:
    """Write what an experiment does into its folder, or check that the folder was begun for the very same.

    file: in the experiment's folder, which is made;  what: the experiment, in a word
    description: a line `# ...`, then settings as YAML, of which resources and ingest may change

    Raises UserError for another description, naming what differs.
    """
    if file.exists() and (changed := list(_differences(file.read_text(encoding="utf8"), description, file.name))):
        raise UserError(
            f"{file.parent.name} was begun as another {what} ({'; '.join(changed)}): "
            "give the same arguments, or choose another --out"
        )
    file.parent.mkdir(parents=True, exist_ok=True)
    write_text(file, description)


def _differences(before: str, now: str, name: str) -> Iterator[str]:
    """Give what differs between two descriptions. name: of the file that holds the first."""
    first, last = (text.partition("\n")[0].removeprefix("# ") for text in (before, now))
    if first != last:
        yield f"{first}, now {last}"
    try:
        yield from different_keys(_recipe(before), _recipe(now))
    except (yaml.YAMLError, ValueError):
        yield f"see its {name}, which is not what was written"


def _recipe(description: str) -> dict[str, Any]:
    found = yaml.safe_load(description) or {}
    if not isinstance(found, dict):
        raise ValueError("no settings")
    return {key: value for key, value in found.items() if key not in NOT_IN_RECIPE}
