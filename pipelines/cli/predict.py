"""`mammoloop predict`."""

from pathlib import Path
from typing import Annotated, Literal

import typer

from pipelines.cli.options import Changes, ConfigFile, Json, Preset, Quiet, start

PROMOTED = "promoted"


def predict(  # noqa: PLR0913, PLR0917 - a command has as many parameters as it has options
    checkpoint: Annotated[
        Path,
        typer.Option(help="a run's checkpoint stage, or a folder with model.json; promoted = by --archive's registry"),
    ],
    images: Annotated[
        Path, typer.Option(help="folder of DICOM files, or of PNG and PGM with views.csv", exists=True, file_okay=False)
    ],
    out: Annotated[Path, typer.Option(help="folder of the results")],
    layout: Annotated[str, typer.Option(help="views, or a data set's as ingest names it")] = "views",
    overlays: Annotated[
        Literal["found", "all", "none"], typer.Option(help="pictures of images with candidates, of all, of none")
    ] = "found",
    threshold: Annotated[
        float, typer.Option(min=0, max=1, help="probability at which a candidate begins; 0 = as the run chose")
    ] = 0.0,
    archive: Annotated[
        str, typer.Option(help="with --checkpoint promoted: the archive whose registry names the model")
    ] = "",
    preset: Preset = "workstation",
    config_file: ConfigFile = None,
    changes: Changes = None,
    json_file: Json = None,
    quiet: Quiet = False,
) -> None:
    """Look for masses in a folder of mammograms: a worklist, tables, COCO JSON and pictures.

    Writes worklist.csv and worklist.html (studies, the most suspicious first), candidates.csv and candidates.coco.json
    (source pixels), images.csv and overlays/.

    Left and right breast of one study and view are looked at together. DICOM files carry their breast and view; PNG
    and PGM files are listed in views.csv: file, study, side (L, R), view (CC, MLO). A file that cannot be used costs
    one line with the reason.

    Example: `mammoloop predict --checkpoint demo/run/round_02/checkpoint --images films --out found --preset demo`
    """
    from pipelines.cluster import session
    from pipelines.tools.predict import detector_of, run
    from system.figures.console import console
    from system.files.json_out import write_json

    config = start(preset, config_file, changes, quiet=quiet)
    checkpoint = named(checkpoint, archive)
    detector = detector_of(checkpoint, config=config, candidate_threshold=threshold)
    with session(config.resources.cluster):
        found = run(images, out, detector=detector, layout=layout, config=config, overlays=overlays)
    screen = console(json_file=json_file)
    screen.print(found.table())
    screen.print(f"{detector.in_words()}; results in {out}, worklist in {out}/worklist.html")
    if json_file:
        write_json(json_file, found)


def named(checkpoint: Path, archive_uri: str) -> Path:
    """Return the folder of a checkpoint, looked up where it is `promoted`. Raises UserError where there is none."""
    from system.errors import UserError

    if str(checkpoint) == PROMOTED:
        from system.archive import Archive
        from system.continuous.registry import read

        if not archive_uri:
            raise UserError("--checkpoint promoted needs --archive: its registry names the model")
        book = read(Archive.open(archive_uri))
        if not book.promoted:
            raise UserError("the registry of this archive has promoted no model yet: see `mammoloop watch`")
        checkpoint = Path(book.models[book.promoted].lineage.checkpoint)
    if not checkpoint.is_dir():
        raise UserError(f"there is no checkpoint folder {checkpoint}: name a run's checkpoint stage, or restore it")
    return checkpoint
