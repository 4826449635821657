"""`mammoloop doctor`."""

from typing import Annotated

import typer

from pipelines.cli.options import Changes, ConfigFile, Json, Preset, resolved


def doctor(
    preset: Preset = "workstation",
    config_file: ConfigFile = None,
    changes: Changes = None,
    archive: Annotated[str, typer.Option(help="also look whether this archive has enough data")] = "",
    json_file: Json = None,
) -> None:
    """Show what this machine has and lacks: GPUs, weights, disk, Ray, versions; and whether an archive has enough.

    Of an archive: masses that train, that choose and that measure, with the interval to expect; reports that teach,
    held against p0; what there is to mine.

    Example: `mammoloop doctor --preset paper`
    Example: `mammoloop doctor --archive archive --preset workstation`
    """
    from pipelines.tools.doctor import show

    raise typer.Exit(show(resolved(preset, config_file, changes), archive_uri=archive, json_file=json_file))
