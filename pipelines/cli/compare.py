"""`mammoloop compare`."""

from pathlib import Path
from typing import Annotated

import typer

from pipelines.cli.options import Json


def compare(
    runs: Annotated[
        list[str],
        typer.Argument(
            metavar="RUN RUN…", help="folders of runs, the first to compare with; RUN:round_02 = a system of it"
        ),
    ],
    json_file: Json = None,
    page: Annotated[Path | None, typer.Option(help="also write a page (HTML) here")] = None,
) -> None:
    """Show runs side by side: what differs in recipe and data, sensitivities with paired intervals, pools, cost.

    Of each run its result is compared, or the system named behind a colon. Differences from the first run are taken
    on the test patients that both have looked at.

    Example: `mammoloop compare --page compare.html run other_run other_run:round_01`
    """
    from pipelines.tools.compare import run

    run(runs, json_file=json_file, page=page)
