"""`mammoloop ingest`."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from pipelines.cli.options import ArchiveUri, Changes, ConfigFile, Json, LayoutName, Preset, Quiet, start

if TYPE_CHECKING:
    from system.config import RunConfig


def ingest(  # noqa: PLR0913, PLR0917 - a command has as many parameters as it has options
    source: Annotated[Path, typer.Option(help="folder of the data set", exists=True, file_okay=False)],
    archive: ArchiveUri,
    layout: LayoutName = "dicom",
    force: Annotated[
        bool, typer.Option("--force", help="read again what was read before, and replace images and masks")
    ] = False,
    preset: Preset = "workstation",
    config_file: ConfigFile = None,
    changes: Changes = None,
    json_file: Json = None,
    quiet: Quiet = False,
) -> None:
    """Read images and reports into an archive; what cannot be used is quarantined, not fatal.

    Files that were read before and have not changed are not opened again, so a killed ingest is simply started again.

    Example: `mammoloop ingest --source mini-mias --layout mini-mias --archive archive --preset demo`
    """
    config = start(preset, config_file, [*(changes or []), f"ingest.force={force}"], quiet=quiet)
    read_in(source, archive, layout=layout, config=config, json_file=json_file)


def read_in(
    source: Path,
    archive: str,
    *,
    layout: str,
    config: "RunConfig",
    again: frozenset[str] = frozenset(),
    json_file: Path | None = None,
) -> None:
    """Ingest and print the summary. again: quarantine codes whose files are read again."""
    from pipelines.cluster import session
    from pipelines.ingest import run, summary_table
    from system.figures.console import console
    from system.files.json_out import write_json

    with session(config.resources.cluster):
        summary = run(source, archive, layout=layout, config=config.ingest, again=again)
    console(json_file=json_file).print(summary_table(summary))
    if json_file:
        write_json(json_file, summary)
