"""`mammoloop reports`."""

from pathlib import Path
from typing import Annotated

import typer

from pipelines.cli.options import ArchiveUri, Quiet, set_up_logging


def reports(
    file: Annotated[Path, typer.Option(help="reports.csv or reports.parquet", exists=True, dir_okay=False)],
    archive: ArchiveUri,
    quiet: Quiet = False,
) -> None:
    """Take in new, corrected and withdrawn reports without reading any image.

    Columns: study (StudyInstanceUID), version, status (final, corrected, withdrawn), language, description, impression.

    Example: `mammoloop reports --file today.csv --archive archive`
    """
    from pipelines.ingest import run_reports

    set_up_logging(quiet=quiet)
    typer.echo(f"{run_reports(file, archive)} reports taken in")
