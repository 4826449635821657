"""`mammoloop check`."""

import json
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Literal

import typer


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
    as_json: Annotated[bool, typer.Option("--json", help="print JSON")] = False,
) -> None:
    """Count what a table or annotation file holds and show all its faults at once; nothing is taken in.

    It is read as `reports`, `ingest` and `review import` read it: what is refused here is refused there. Ends with 2
    where there are faults.

    Example: `mammoloop check reports.csv --archive archive`
    """
    from pipelines.tools.check import run
    from system.errors import UserError

    if not file.exists():
        raise UserError(f"there is no file {file}: give the path of a table or of a COCO file")
    found = run(file, kind=kind, archive_uri=archive)
    if as_json:
        typer.echo(json.dumps(asdict(found), indent=1, ensure_ascii=False))
    else:
        typer.echo(f"{found.file}: {found.kind}")
        for what, number in found.counts.items():
            typer.echo(f"  {number:>8}  {what}")
        for title, texts in (("recognised", found.recognised), ("worth a look", found.odd), ("refused", found.faults)):
            for text in texts:
                typer.echo(f"{title}: {text}")
        if not found.faults:
            typer.echo("no fault found")
    if found.faults:
        raise typer.Exit(2)
