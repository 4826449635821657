"""`mammoloop catch-up`."""

from typing import Annotated

import typer

from pipelines.cli.options import ArchiveUri, Changes, Json, Quiet, Run, set_up_logging


def catch_up(
    archive: ArchiveUri,
    run: Run,
    system: Annotated[
        str, typer.Option(help="system of the run whose model looks, e.g. round_02; by default the run's result")
    ] = "",
    changes: Changes = None,
    json_file: Json = None,
    quiet: Quiet = False,
) -> None:
    """Label, infer and sort what has come since, with the run's own settings; train nothing.

    Only what is new is looked at, and the run's next round finds it done. `watch` does so by itself; alone it serves
    to do this part on other machines (--set resources.…).

    Example: `mammoloop catch-up --archive archive --run run`
    """
    from system.config import resolve
    from system.run.folder import RunFolder

    set_up_logging(quiet=quiet)
    folder = RunFolder(run)
    config = resolve(folder.config(), settings=changes or [])
    folder.check_recipe(config)  # before Ray is even imported
    system = folder.trained(system).name if system else folder.result().name

    from pipelines.cluster import session
    from pipelines.continuous.catch_up import run as catch_up_run
    from system.figures.console import console, two_columns
    from system.files.json_out import write_json

    with session(config.resources.cluster):
        found = catch_up_run(archive, run, system=system, config=config)
    counts = {
        "reports labelled": found.num_labelled,
        "images looked at": found.num_inferred,
        "TP": found.counts.tp,
        "FP": found.counts.fp,
        "of them disputed": found.counts.disputed,
        "FN": found.counts.fn,
        "would train, and have not yet": found.num_new_samples,
    }
    console(json_file=json_file).print(two_columns(f"Caught up, by {found.system}, p0 {found.p0:g}", counts))
    if json_file:
        write_json(json_file, found)
