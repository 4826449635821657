"""`mammoloop infer`."""

from pathlib import Path
from typing import Annotated

import typer

from pipelines.cli.options import Changes, Json, Moved, Quiet, set_up_logging


def infer(
    run: Annotated[
        Path, typer.Option(help="folder of a run whose model for the round is trained", exists=True, file_okay=False)
    ],
    number: Annotated[int, typer.Option("--round", min=1, help="round whose weak images are to be inferred")],
    changes: Changes = None,
    archive: Moved = "",
    json_file: Json = None,
    quiet: Quiet = False,
) -> None:
    """Do one round's inference over the weak images, with the run's own settings, and print what it came to.

    The loop does so itself; alone it serves to do this part on other machines (--set resources.…), or to see how fast
    it is. Killed, it goes on where it was.

    Example: `mammoloop infer --run run --round 1 --set resources.infer.num_predictors=8`
    """
    from system.config import resolve
    from system.files.json_out import write_json
    from system.run.folder import RunFolder

    set_up_logging(quiet=quiet)
    folder = RunFolder(run)
    config = resolve(folder.config(), settings=changes or [])
    folder.check_recipe(config)  # before Ray is even imported

    from pipelines.cluster import session
    from pipelines.selftrain import infer_alone
    from pipelines.workers.infer_summary import summary_table
    from system.figures.console import console

    with session(config.resources.cluster):
        found = infer_alone(run, number, config=config, archive_uri=archive)
    console(json_file=json_file).print(summary_table(f"round {number}", found))
    if json_file:
        write_json(json_file, found)
