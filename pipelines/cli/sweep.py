"""`mammoloop sweep`."""

from pathlib import Path
from typing import Annotated

import typer

from pipelines.cli.options import ArchiveUri, Changes, ConfigFile, Json, OwnPreset, Quiet, start


def sweep(  # noqa: PLR0913, PLR0917 - a command has as many parameters as it has options
    run: Annotated[
        Path,
        typer.Option(help="folder of a finished run, whose pools are taken as they are", exists=True, file_okay=False),
    ],
    archive: ArchiveUri,
    out: Annotated[Path, typer.Option(help="folder of the sweep")],
    space: Annotated[str, typer.Option(help="paper_grid, a grid; loss or wide, searched")] = "paper_grid",
    trials: Annotated[
        int, typer.Option(min=0, help="trials of a space that is searched; 0 = the space's own number")
    ] = 0,
    preset: OwnPreset = "",
    config_file: ConfigFile = None,
    changes: Changes = None,
    json_file: Json = None,
    quiet: Quiet = False,
) -> None:
    """Retrain on a frozen pool once per setting of a tune space, and rank the settings on validation.

    What the space does not vary is as in the run, or as a preset says.

    Example: `mammoloop sweep --run demo/run --archive demo/archive --space paper_grid --out sweep`
    """
    from system.run.folder import RunFolder
    from tune_spaces import find, trials_of

    own = None if preset else RunFolder(run).config()
    config = start(preset or "workstation", config_file, changes, quiet=quiet, base=own).of_run()
    trials_of(find(config.method, space), asked=trials)  # before Ray is even imported

    from pipelines.cluster import session
    from pipelines.experiments.sweep import prepare
    from pipelines.experiments.sweep import run as sweep_run

    cluster = config.resources.cluster.changed(dashboard=True)  # Ray Tune with Ray Train inside needs it
    prepare(run, archive, out, space=space, config=config)  # what does not fit is said before Ray starts
    with session(cluster):
        sweep_run(run, archive, out, space=space, num_trials=trials, config=config, json_file=json_file)
