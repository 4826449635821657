"""`mammoloop quarantine list` and `mammoloop quarantine retry`."""

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
    json_file: Json = None,
) -> None:
    """Show what was kept out of an archive, and why.

    Example: `mammoloop quarantine list --archive archive --code view`
    """
    from pipelines.tools.quarantine import run, table
    from system.figures.console import console
    from system.files.json_out import write_json

    found = run(archive, code=code)
    console(json_file=json_file).print(table(found))
    if json_file:
        write_json(json_file, found)


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
    config = start(preset, config_file, changes, quiet=quiet)
    read_in(source, archive, layout=layout, config=config, again=frozenset(code), json_file=json_file)
