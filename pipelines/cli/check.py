"""`mammoloop check`."""

from pathlib import Path
from typing import Annotated, Literal

import typer

from pipelines.cli.options import Json


def check(
    file: Annotated[
        Path,
        typer.Argument(help="reports (.csv, .parquet), truth.csv, views.csv, queue.csv or COCO JSON", dir_okay=False),
    ],
    kind: Annotated[
        Literal["reports", "truth", "views", "verdicts", "coco"] | None,
        typer.Option("--as", help="what the file is; none given: recognised by its columns"),
    ] = None,
    archive: Annotated[
        str, typer.Option(help="folder or URI of an archive: studies and images are looked up in it")
    ] = "",
    json_file: Json = None,
) -> None:
    """Count what a table or annotation file holds and show all its faults at once; nothing is taken in.

    It is read as `reports`, `ingest` and `review import` read it: what is refused here is refused there. Ends with 2
    where there are faults.

    Example: `mammoloop check reports.csv --archive archive`
    """
    from pipelines.tools.check import run
    from system.errors import UserError
    from system.figures.console import console
    from system.files.json_out import write_json

    if not file.exists():
        raise UserError(f"there is no file {file}: give the path of a table or of a COCO file")
    found = run(file, kind=kind, archive_uri=archive)
    screen = console(json_file=json_file)
    screen.print(f"{found.file}: {found.kind}")
    for what, number in found.counts.items():
        screen.print(f"  {number:>8}  {what}")
    for title, texts in (("recognised", found.recognised), ("worth a look", found.odd), ("refused", found.faults)):
        for text in texts:
            screen.print(f"{title}: {text}")
    if not found.faults:
        screen.print("no fault found")
    if json_file:
        write_json(json_file, found)
    if found.faults:
        raise typer.Exit(2)
