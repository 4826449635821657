"""`mammoloop ingest`."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from pipelines.cli.options import ArchiveUri, Changes, ConfigFile, LayoutName, Preset, Quiet, start

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
    quiet: Quiet = False,
) -> None:
    """Read images and reports into an archive; what cannot be used is quarantined, not fatal.

    Files that were read before and have not changed are not opened again, so a killed ingest is simply started again.

    Example: `mammoloop ingest --source mini-mias --layout mini-mias --archive archive --preset demo`
    """
    config = start(preset, config_file, [*(changes or []), f"ingest.force={force}"], quiet=quiet)
    read_in(source, archive, layout=layout, config=config, quiet=quiet)


def read_in(
    source: Path,
    archive: str,
    *,
    layout: str,
    config: "RunConfig",
    quiet: bool,
    again: frozenset[str] = frozenset(),
) -> None:
    """Ingest and print the summary. again: quarantine codes whose files are read again."""
    from pipelines.cluster import session
    from pipelines.ingest import run, summary_table
    from system.figures.console import console

    with session(config.resources.cluster, quiet=quiet):
        summary = run(source, archive, layout=layout, config=config.ingest, again=again)
    console().print(summary_table(summary))
