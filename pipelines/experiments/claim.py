"""Mark a folder as belonging to one experiment, so that another is not mixed into it."""

from pathlib import Path

from system.errors import UserError
from system.files.atomic import write_text


def claim(file: Path, description: str, *, what: str) -> None:
    """Write what an experiment does into its folder, or check that the folder was begun for the very same.

    file: in the experiment's folder, which is made;  what: the experiment, in a word. Raises UserError for another
    description.
    """
    if file.exists() and file.read_text(encoding="utf8") != description:
        raise UserError(
            f"{file.parent.name} was begun as another {what} (see its {file.name}): "
            "give the same arguments, or choose another --out"
        )
    file.parent.mkdir(parents=True, exist_ok=True)
    write_text(file, description)
