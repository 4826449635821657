"""The `mammoloop` command: its commands put together, and what looks at the machine and the settings."""

import sys

import typer

from pipelines.commands import measure, teach
from pipelines.commands.options import Changes, ConfigFile, Preset, resolved

app = typer.Typer(no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False, rich_markup_mode="markdown")
app.add_typer(teach.app)
app.add_typer(measure.app)


@app.command()
def doctor(preset: Preset = "workstation") -> None:
    """Say what this machine has and lacks: GPUs, weights, disk, Ray, versions.

    Example: `mammoloop doctor --preset paper`
    """
    from pipelines import doctor as stage

    raise typer.Exit(stage.report(resolved(preset, None, None)))


@app.command()
def config(preset: Preset = "workstation", config_file: ConfigFile = None, changes: Changes = None) -> None:
    """Print the resolved configuration as YAML; every key can be given to --set or in a --config file.

    Example: `mammoloop config --preset demo --set rounds.num_rounds=3`
    """
    from system.config import as_yaml

    typer.echo(as_yaml(resolved(preset, config_file, changes)), nl=False)


def main() -> None:
    """Run the command; a mistake of the user ends with exit code 2 and one message."""
    try:
        app()
    except (ValueError, FileNotFoundError) as error:
        typer.echo(f"mammoloop: {error}", err=True)
        sys.exit(2)


if __name__ == "__main__":
    main()
