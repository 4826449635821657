"""`mammoloop status`."""

from typing import Annotated

import typer

from pipelines.cli.options import Run


def status(
    run: Run, json_text: Annotated[bool, typer.Option("--json", help="print everything as JSON instead")] = False
) -> None:
    """Show how far a run has come: stage, epoch, time left, last checkpoint, pools, best so far, what it waits for.

    Answers at once, also while the run is at work or after it was killed; it changes nothing.

    Example: `mammoloop status --run run --json`
    """
    from pipelines.tools.status import show

    typer.echo(show(run, as_text=not json_text))
