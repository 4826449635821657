"""`mammoloop reports`."""

from pathlib import Path
from typing import Annotated

import typer

from pipelines.cli.options import ArchiveUri, Json, Quiet, set_up_logging


def reports(
    file: Annotated[Path, typer.Option(help="reports.csv or reports.parquet", exists=True, dir_okay=False)],
    archive: ArchiveUri,
    json_file: Json = None,
    quiet: Quiet = False,
) -> None:
    """Take in new, corrected and withdrawn reports without reading any image.

    Columns: study (StudyInstanceUID), version, status (final, corrected, withdrawn), language, description, impression.

    Example: `mammoloop reports --file today.csv --archive archive`
    """
    from pipelines.tools.reports import run
    from system.figures.console import console
    from system.files.json_out import write_json

    set_up_logging(quiet=quiet)
    taken = run(file, archive)
    new = "".join(f", {number} new {status}" for status, number in taken.new.items())
    changed = f", {taken.num_changed} with another text than before" if taken.num_changed else ""
    known = f", {taken.num_known} known already" if taken.num_known else ""
    console(json_file=json_file).print(f"{taken.num_reports} reports taken in{new}{changed}{known}")
    if json_file:
        write_json(json_file, taken)
