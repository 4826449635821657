"""`mammoloop config`."""

from typing import Annotated

import typer

from pipelines.cli.options import Changes, ConfigFile, Preset, resolved


def config(
    preset: Preset = "workstation",
    config_file: ConfigFile = None,
    changes: Changes = None,
    plan: Annotated[bool, typer.Option("--plan", help="the plan of `mammoloop watch` in its place")] = False,
) -> None:
    """Print the resolved configuration as YAML; every key can be given to --set or in a --config file.

    Keys under `resources` may differ when a run is started again; all others, but for `ingest`, are its recipe and
    must stay.

    Example: `mammoloop config --preset demo --set rounds.num_rounds=3`
    """
    from system.config import as_yaml

    if plan:
        from system.continuous.plan import Plan

        typer.echo(as_yaml(Plan()), nl=False)
        return
    typer.echo(as_yaml(resolved(preset, config_file, changes)), nl=False)
