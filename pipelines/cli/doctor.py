"""`mammoloop doctor`."""

import typer

from pipelines.cli.options import Json, Preset, resolved


def doctor(preset: Preset = "workstation", json_file: Json = None) -> None:
    """Show what this machine has and lacks: GPUs, weights, disk, Ray, versions.

    Example: `mammoloop doctor --preset paper`
    """
    from pipelines.tools.doctor import show

    raise typer.Exit(show(resolved(preset, None, None), json_file=json_file))
