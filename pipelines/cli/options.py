"""What the commands share: options, logging, the resolved config."""

import logging
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from system.config import RunConfig

# Spelled here because the tables they name are slow to import; a test holds them equal.
PRESET_NAMES = ("demo", "films", "workstation", "recommended", "paper", "cluster")
LAYOUT_NAMES = ("dicom", "phantom", "views", "mini-mias", "cbis-ddsm", "inbreast", "vindr-mammo", "cmmd")

Preset = Annotated[str, typer.Option(help=f"{', '.join(PRESET_NAMES[:-1])} or {PRESET_NAMES[-1]}")]
OwnPreset = Annotated[
    str, typer.Option("--preset", help="see `mammoloop config --help`; by default the run's own settings")
]
ConfigFile = Annotated[Path | None, typer.Option("--config", help="YAML file that changes the preset")]
Changes = Annotated[
    list[str] | None, typer.Option("--set", help="one setting, e.g. stage1.batch_size=12; may be repeated")
]
ArchiveUri = Annotated[str, typer.Option("--archive", help="folder or URI of the archive")]
LayoutName = Annotated[str, typer.Option("--layout", help=f"{', '.join(LAYOUT_NAMES[:-1])} or {LAYOUT_NAMES[-1]}")]
Out = Annotated[Path, typer.Option(help="folder of the run")]
Run = Annotated[Path, typer.Option(help="folder of a run", exists=True, file_okay=False)]
Moved = Annotated[str, typer.Option("--archive", help="where the archive lies now, if it was moved")]
Quiet = Annotated[bool, typer.Option("--quiet", help="results and warnings only")]


def writable(file: Path | None) -> Path | None:
    """Return the option's file. Raises UserError where its folder is missing, before the work is done."""
    from system.errors import UserError

    if file is not None and not file.parent.is_dir():
        raise UserError(f"{file}: there is no folder {file.parent}; make it first, or name another place")
    return file


Json = Annotated[
    Path | None,
    typer.Option(
        "--json",
        callback=writable,
        metavar="FILE",
        help="also write the results here, as JSON; without a file, or with -, onto standard output, and nothing else",
    ),
]


def start(
    preset: str,
    config_file: Path | None,
    changes: list[str] | None,
    *,
    quiet: bool,
    base: "RunConfig | None" = None,
) -> "RunConfig":
    """Set up logging and return the resolved config. base: as of `resolved`."""
    set_up_logging(quiet=quiet)
    return resolved(preset, config_file, changes, base=base)


def resolved(
    preset: str, config_file: Path | None, changes: list[str] | None, *, base: "RunConfig | None" = None
) -> "RunConfig":
    """Return the preset, changed by the file and the settings. Raises UserError for a mistake in any of them.

    base: settings that are changed in the preset's place
    """
    from system.config import resolve
    from system.errors import UserError
    from system.presets import PRESETS

    if preset not in PRESETS:
        raise UserError(f"--preset {preset!r} is no preset; choose one of {', '.join(PRESETS)}")
    if config_file and not config_file.is_file():
        raise UserError(f"--config: the file {config_file} does not exist")
    text = yaml_text(config_file) if config_file else ""
    base = base or PRESETS[preset]()
    config = resolve(base, text=text, settings=changes or [])
    if config.net.backbone != base.net.backbone:
        from system.nets.backbone import check_name  # takes seconds, so only where another one is wanted

        check_name(config.net.backbone)
    return config


def yaml_text(file: Path) -> str:
    """Return the text of a file of settings. Raises UserError where it is none."""
    from system.errors import UserError

    try:
        return file.read_text(encoding="utf8")
    except UnicodeDecodeError:
        raise UserError(f"{file} is no text in UTF-8: save it so") from None


def set_up_logging(*, quiet: bool) -> None:
    """Show people what happens, on standard error; quiet: warnings only."""
    from pipelines.cli.lines import FORMAT, TIME, Lines, Wrapped
    from system.place import LIVE, LIVE_LOGGER

    lines = Lines(sys.stderr)
    if sys.stderr.isatty():
        lines.setFormatter(Wrapped())
    logging.basicConfig(level=logging.WARNING, format=FORMAT, datefmt=TIME, handlers=[lines])
    live = logging.getLogger(LIVE_LOGGER)
    live.handlers, live.propagate = [lines], False
    live.setLevel(logging.WARNING if quiet else LIVE)
    for name in ("mammoloop", "pipelines", "actors", "system"):
        logging.getLogger(name).setLevel(logging.WARNING if quiet else logging.INFO)
