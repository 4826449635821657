"""`mammoloop watch`."""

from pathlib import Path
from typing import Annotated

import typer

from pipelines.cli.options import ArchiveUri, Changes, LayoutName, Quiet, Run, set_up_logging, yaml_text


def watch(  # noqa: PLR0913, PLR0917 - a command has as many parameters as it has options
    archive: ArchiveUri,
    run: Run,
    plan: Annotated[
        Path, typer.Option(help="YAML: what may change, when, by which test; see docs/continuous.md", dir_okay=False)
    ],
    source: Annotated[
        list[str] | None, typer.Option(help="folder or s3://bucket/prefix where files arrive; may be repeated")
    ] = None,
    layout: LayoutName = "dicom",
    once: Annotated[bool, typer.Option("--once", help="look once, do what is due, and end")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="say what would be done and why; change nothing")] = False,
    changes: Changes = None,
    quiet: Quiet = False,
) -> None:
    """Retrain for ever as studies and reports arrive, by a plan that was written before.

    Takes in what is new, labels, infers and sorts it, decides by the plan whether to retrain, holds each candidate
    against the promoted model on the plan's patients, and promotes it, holds it for approval or refuses it. Each
    decision stands in RUN/watch with its reason. Killed anywhere it is simply started again; SIGTERM ends it within
    30 seconds. --set changes resources of the commands that it starts.

    Example: `mammoloop watch --archive archive --run run --plan plan.yaml --source /incoming --layout dicom`
    """
    from system.config import resolve
    from system.continuous.plan import Plan
    from system.errors import UserError
    from system.run.folder import RunFolder

    set_up_logging(quiet=quiet)
    if not plan.exists():
        raise UserError(f"there is no plan {plan}: `mammoloop config --plan` prints one to begin with")
    wanted = resolve(Plan(), text=yaml_text(plan))
    folder = RunFolder(run.resolve())
    folder.check_recipe(resolve(folder.config(), settings=changes or []))

    from pipelines.continuous.commands import OwnCommands, words_of
    from pipelines.continuous.watch import preview
    from pipelines.continuous.watch import run as watch_run
    from pipelines.continuous.watched import Watched

    words = words_of(changes or [])
    commands = OwnCommands(archive, folder, wanted, tuple(source or ()), layout, words)
    watched = Watched(archive, folder, wanted, commands)
    if dry_run:
        typer.echo(preview(watched))
    else:
        watch_run(watched, once=once)
