"""`mammoloop quarantine list` and `mammoloop quarantine retry`."""

import sys
from pathlib import Path
from typing import Annotated

import typer

from pipelines.cli.ingest import read_in
from pipelines.cli.options import ArchiveUri, Changes, ConfigFile, Json, LayoutName, Preset, Quiet, start

app = typer.Typer(
    no_args_is_help=True,
    rich_markup_mode="markdown",
    help="See what ingest kept out, and try it again.\n\nExample: `mammoloop quarantine list --archive archive`",
)


@app.command("list")
def list_quarantine(
    archive: ArchiveUri,
    code: Annotated[str, typer.Option(help="show the details of one reason")] = "",
    source: Annotated[
        Path | None,
        typer.Option(help="folder the files came from: shows their names", exists=True, file_okay=False),
    ] = None,
    layout: LayoutName = "dicom",
    as_csv: Annotated[bool, typer.Option("--csv", help="print file, code and detail as CSV; needs --source")] = False,
    json_file: Json = None,
) -> None:
    """Show what was kept out of an archive, and why.

    The archive keeps no file names. With the folder at hand they are found again; nothing is stored.

    Example: `mammoloop quarantine list --archive archive --code view`
    """
    from pipelines.tools.quarantine import COLUMNS, held_in, held_table, run, table
    from system.errors import UserError
    from system.figures.console import console
    from system.files.csv_out import print_csv
    from system.files.json_out import write_json
    from system.files.names import readable

    if source is None:
        if as_csv:
            raise UserError("--csv lists files by name, which the archive does not keep: name their folder, --source")
        found = run(archive, code=code)
        console(json_file=json_file).print(table(found))
        if json_file:
            write_json(json_file, found)
        return
    held = held_in(archive, source, layout=layout, code=code)
    if as_csv:
        print_csv(sys.stdout, COLUMNS, [(readable(each.file), each.code, each.detail) for each in held])
        return
    console(json_file=json_file).print(held_table(held))
    if json_file:
        write_json(json_file, held)


@app.command("retry")
def retry_quarantine(  # noqa: PLR0913, PLR0917 - a command has as many parameters as it has options
    source: Annotated[Path, typer.Option(help="folder the files came from", exists=True, file_okay=False)],
    archive: ArchiveUri,
    code: Annotated[list[str], typer.Option(help="reason to try again; may be repeated")],
    layout: LayoutName = "dicom",
    preset: Preset = "workstation",
    config_file: ConfigFile = None,
    changes: Changes = None,
    json_file: Json = None,
    quiet: Quiet = False,
) -> None:
    """Read quarantined files again, after a disk was mounted or a setting changed.

    The archive keeps no file names, so name the folder.

    Example: `mammoloop quarantine retry --source dump --archive archive --code timeout --set ingest.timeout_s=600`
    """
    from pipelines.tools.quarantine import retried, retry_of
    from system.figures.console import console

    retry = retry_of(archive, source, layout=layout, codes=code)
    config = start(preset, config_file, changes, quiet=quiet)
    read_in(source, archive, layout=layout, config=config, again=frozenset(code), json_file=json_file)
    console(json_file=json_file).print(retried(archive, retry))
