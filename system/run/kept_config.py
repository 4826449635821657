"""The settings that a run keeps beside its results, as text: the part of reading them that costs nothing to import."""

from pathlib import Path

from system.errors import NotFinished, UserError
from system.run.stage import SCHEMA_VERSION

CONFIG = "config.yaml"
HEADER = f"# mammoloop run, schema {SCHEMA_VERSION}\n"


def config_text(run: Path) -> str:
    """Return the text of a run's config.yaml.

    run: its folder

    Raises NotFinished where there is no run, UserError for a run of another schema.
    """
    name, kept = run.resolve().name, run / CONFIG
    if not kept.exists():
        inside = run / "run" / CONFIG  # of a demo
        hint = f"; {name}/run does" if inside.exists() else ""
        raise NotFinished(f"{name} holds no run: it has no {CONFIG}{hint}; start one with `mammoloop selftrain`")
    text = kept.read_bytes().decode("utf8", "replace")  # what is no UTF-8 is no setting either
    if not text.startswith(HEADER):
        raise UserError(
            f"run {name} was written by another version ({CONFIG} does not begin with {HEADER.strip()!r}): "
            "start a new run, or go on with the version that began it; its models can be used, "
            "`mammoloop predict --checkpoint` takes an attempt's folder"
        )
    return text


def not_what_was_written(run: Path, reason: str) -> UserError:
    """Return the refusal of a config.yaml that is damaged. reason: what is wrong with it."""
    return UserError(f"{CONFIG} of run {run.resolve().name} is not what was written ({reason}): restore it")
