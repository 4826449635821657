"""`mammoloop review export` and `mammoloop review import`."""

from pathlib import Path
from typing import Annotated, Literal

import typer

from pipelines.cli.options import ArchiveUri, Json, Moved, Quiet, Run, set_up_logging

app = typer.Typer(
    no_args_is_help=True,
    rich_markup_mode="markdown",
    help="Export images for review; import verdicts.\n\n"
    "Example: `mammoloop review export --run run --round 1 --out review`",
)


RoundNumber = Annotated[int, typer.Option("--round", min=1, help="round whose inference is done")]
RandomShare = Annotated[
    float, typer.Option(min=0, max=1, help="of them drawn at random: they show how pure the pools are")
]
Source = Annotated[
    Path | None, typer.Option(help="folder that was ingested: pictures in its resolution", exists=True, file_okay=False)
]
Longest = Annotated[
    int,
    typer.Option(
        "--longest", min=64, max=16384, help="pictures are made smaller to so many pixels, of the longer side"
    ),
]
Window = Annotated[
    tuple[float, float], typer.Option(help="percentiles of the breast's pixels that are black and white")
]
Tool = Annotated[
    Literal["coco", "label-studio", "cvat"],
    typer.Option("--for", help="annotation tool whose own files are written, beside COCO"),
]


@app.command("export")
def export_queue(  # noqa: PLR0913, PLR0917 - a command has as many parameters as it has options
    run: Run,
    number: RoundNumber,
    out: Annotated[Path, typer.Option(help="folder of the queue")],
    size: Annotated[int, typer.Option(min=1, help="images")] = 100,
    random_share: RandomShare = 0.2,
    seed: Annotated[int, typer.Option(min=0, help="of the draw")] = 0,
    source: Source = None,
    layout: Annotated[str, typer.Option(help="of --source, where the archive has several")] = "",
    longest_px: Longest = 2048,
    window: Window = (0.5, 99.8),
    tool: Tool = "coco",
    archive: Moved = "",
    json_file: Json = None,
    quiet: Quiet = False,
) -> None:
    """Write the images a radiologist should judge next: pages to look at, queue.csv to fill in, pictures, COCO JSON.

    Open index.html. In the column verdict of queue.csv write mass, no mass or unsure; x0, y0, x1, y1 may hold the box
    of a mass in the picture's pixels; for a second mass of an image copy its line. Or open pictures and
    candidates.coco.json in an annotation tool and outline masses in the category mass; the network's boxes are in the
    category candidate. Without --source the pictures are the archive's views, in the network's size.

    Example: `mammoloop review export --run run --round 1 --out review --size 50 --source DATA`
    """
    from pipelines.tools.review import Shown, export
    from pipelines.tools.review_source import SourceFolder
    from system.figures.console import console
    from system.files.json_out import write_json
    from system.imaging import DisplayConfig
    from system.review import QueueConfig

    set_up_logging(quiet=quiet)
    _check_window(*window)
    display = DisplayConfig(longest_px=longest_px, low_percent=window[0], high_percent=window[1])
    shown = Shown(SourceFolder(source, layout) if source else None, display, (tool,))
    config = QueueConfig(size=size, random_share=random_share, seed=seed)
    why = export(run, number, out, config=config, archive_uri=archive, shown=shown)
    reasons = ", ".join(f"{count} {reason}" for reason, count in why.items())
    screen = console(json_file=json_file)
    screen.print(f"{sum(why.values())} images in {out}: {reasons}")
    screen.print(
        f"look at {out}/index.html, fill in {out}/queue.csv, then: mammoloop review import --file {out}/queue.csv"
    )
    if json_file:
        write_json(json_file, why)


def _check_window(low: float, high: float) -> None:
    from system.errors import UserError

    if not (0 <= low <= 100 and 0 <= high <= 100):
        raise UserError(f"--window {low:g} {high:g}: percentiles lie between 0 and 100")
    if low >= high:
        raise UserError(f"--window {low:g} {high:g} is empty: give the lower percentile first")


@app.command("import")
def import_verdicts(
    file: Annotated[Path, typer.Option(help="queue.csv with verdicts", exists=True, dir_okay=False)],
    archive: ArchiveUri,
    reader: Annotated[str, typer.Option(help="the radiologist who judged the images, e.g. R1")],
    coco: Annotated[
        Path | None,
        typer.Option(
            "--drawn",
            "--coco",
            help="what was drawn: COCO JSON, or the own file of Label Studio (JSON) or CVAT (XML)",
            exists=True,
            dir_okay=False,
        ),
    ] = None,
    json_file: Json = None,
    quiet: Quiet = False,
) -> None:
    """Take verdicts into the archive: they beat every label.

    From the next round on an image with an outlined mass trains as an annotated one.

    Example: `mammoloop review import --file review/queue.csv --archive archive --reader R1`
    """
    from pipelines.tools.review_import import take_in
    from system.figures.console import console
    from system.files.json_out import write_json

    set_up_logging(quiet=quiet)
    taken = take_in(file, archive, reader=reader, coco=coco)
    verdicts = ", ".join(f"{count} {verdict}" for verdict, count in taken.verdicts.items()) or "none filled in"
    known = f"; {taken.num_known} of them were in the archive before" if taken.num_known else ""
    screen = console(json_file=json_file)
    screen.print(f"verdicts: {verdicts}; {taken.num_outlined} outlined{known}")
    if taken.left_out:
        counts = ", ".join(f"{count} {what}" for what, count in sorted(taken.left_out.items()))
        screen.print(f"annotations that are not used: {counts}")
    if json_file:
        write_json(json_file, taken)
