# ruff: noqa: PLR0913, PLR0917 - a command has as many parameters as it has options
"""Commands that use a detector and say how good one is."""

from pathlib import Path
from typing import Annotated, Literal

import typer

from pipelines.commands.options import (
    Changes,
    ConfigFile,
    Out,
    Preset,
    Quiet,
    set_up_logging,
    start,
)

app = typer.Typer()


@app.command()
def predict(
    checkpoint: Annotated[Path, typer.Option(help="a run's checkpoint stage, or a folder with model.json", exists=True, file_okay=False)],
    images: Annotated[Path, typer.Option(help="folder of DICOM files, or of PNG and PGM with views.csv", exists=True, file_okay=False)],
    out: Annotated[Path, typer.Option(help="folder of the findings")],
    layout: Annotated[str, typer.Option(help="views, or a data set's as ingest names it")] = "views",
    overlays: Annotated[
        Literal["found", "all", "none"], typer.Option(help="pictures of images with candidates, of all, of none")
    ] = "found",
    floor: Annotated[float, typer.Option(min=0, max=1, help="probability at which a candidate begins; 0 = as the run chose")] = 0.0,
    preset: Preset = "workstation",
    config_file: ConfigFile = None,
    changes: Changes = None,
    quiet: Quiet = False,
) -> None:
    """Look for masses in a folder of mammograms: candidates.csv, candidates.coco.json (source pixels), images.csv, overlays/.

    Left and right breast of one study and view are looked at together. DICOM files say what they show; PNG and PGM files are listed
    in views.csv: file, study, side (L, R), view (CC, MLO). A file that cannot be used costs one line with the reason.

    Example: `mammoloop predict --checkpoint demo/run/round_02/checkpoint --images films --out findings --preset demo`
    """
    from pipelines import predict as stage
    from pipelines.cluster import session
    from pipelines.console import console

    config = start(preset, config_file, changes, quiet=quiet)
    detector = stage.detector_of(checkpoint, config=config, floor=floor)
    with session(config.cluster, quiet=quiet):
        found = stage.run(images, out, detector=detector, layout=layout, config=config, overlays=overlays)
    console().print(found.table())
    typer.echo(f"candidates begin at probability {detector.candidate_floor:.3g}, {detector.reason}; findings in {out}")


@app.command()
def evaluate(
    run: Annotated[Path, typer.Option(help="folder of a run", exists=True, file_okay=False)],
    split: Annotated[Literal["test", "validation"], typer.Option(help="patients held out for the numbers, or for choices")] = "test",
    archive: Annotated[str, typer.Option("--archive", help="where the archive lies now, if it was moved")] = "",
    json_file: Annotated[Path | None, typer.Option("--json", help="also write everything here")] = None,
    quiet: Quiet = False,
) -> None:
    """Measure a run's systems on a split: sensitivities with intervals, and by view, breast density, source and lesion size.

    Example: `mammoloop evaluate --run demo/run --split test --json test.json`
    """
    from pipelines import breakdown as stage

    set_up_logging(quiet=quiet)
    stage.run(run, split=split, archive_uri=archive, json_file=json_file)


@app.command()
def froc(
    images: Annotated[Path, typer.Option(help="CSV: image_id, patient_id; all that were looked at", exists=True, dir_okay=False)],
    lesions: Annotated[Path, typer.Option(help="CSV: image_id, x0, y0, x1, y1", exists=True, dir_okay=False)],
    candidates: Annotated[Path, typer.Option(help="CSV: image_id, score, x0, y0, x1, y1", exists=True, dir_okay=False)],
    match: Annotated[Literal["iou", "iom", "centre"], typer.Option(help="what makes a hit; iom: over the smaller box")] = "iou",
    overlap: Annotated[
        float | None, typer.Option("--iou", min=0, max=1, help="limit of iou (above it) or iom (from it on); none given: 0.2 and 0.5")
    ] = None,
    duplicates: Annotated[Literal["ignore", "fp"], typer.Option(help="what further hits on a found lesion count as")] = "ignore",
    per: Annotated[
        Literal["image", "breast"], typer.Option(help="breast: found in any view; needs a column breast_id in the images")
    ] = "image",
    fppi: Annotated[str, typer.Option(help="operating points, false positives per image")] = "0.1,0.2,0.5,1",
    bootstrap: Annotated[int, typer.Option(min=1, help="resamples of the patients")] = 1000,
    seed: Annotated[int, typer.Option(min=0, help="of the resampling")] = 0,
    json_file: Annotated[Path | None, typer.Option("--json", help="also write rules, counts, intervals and curve here")] = None,
    table: Annotated[Path | None, typer.Option(help="also write what became of every candidate here, CSV")] = None,
) -> None:
    """Measure any system's boxes: sensitivity at so many false positives per image, with intervals by patient.

    Boxes are half open (x1 and y1 are the first pixel outside), all in the pixels of their image.

    Example: `mammoloop froc --images images.csv --lesions lesions.csv --candidates candidates.csv --json froc.json`
    """
    from pipelines import froc as stage
    from system.metrics import BoxRules, FrocConfig
    from system.metrics.boxes import LIMITS

    try:
        config = FrocConfig(duplicates=duplicates, fppi=tuple(map(float, fppi.split(","))), bootstrap=bootstrap, seed=seed)
    except ValueError:
        raise ValueError(f"--fppi {fppi!r}: expected numbers of at least 0 with commas between them, e.g. 0.1,0.2,0.5,1") from None
    if match == "centre" and overlap is not None:
        raise ValueError("--iou sets the limit of an overlap, and --match centre asks for none: leave one of them out")
    rules = BoxRules(how=match, limit=LIMITS[match] if overlap is None else overlap, per=per)
    stage.run(images, lesions, candidates, rules=rules, config=config, json_file=json_file, table_file=table)


@app.command()
def reproduce(
    table: Annotated[Literal["table2", "table3", "table4", "figure4"], typer.Argument(help="of the paper")],
    out: Out,
    archive: Annotated[
        str, typer.Option("--archive", help="folder or URI; with --preset demo synthetic exams are written if none is given")
    ] = "",
    seeds: Annotated[int, typer.Option(min=1, help="trainings of every cell; their mean is shown")] = 1,
    preset: Preset = "workstation",
    config_file: ConfigFile = None,
    changes: Changes = None,
    quiet: Quiet = False,
) -> None:
    """Train the grid of one of the paper's tables on an archive, and print our numbers beside the paper's.

    Cells run side by side where the cluster has room. Killed and started again with the same words, it goes on cell by cell; tables
    made in one --out share what they have in common.

    Example: `mammoloop reproduce table3 --preset demo --out table3`, two cores, under an hour
    """
    from pipelines import demo as synthetic
    from pipelines import reproduce as stage
    from pipelines.cluster import session

    config = start(preset, config_file, changes, quiet=quiet)
    if not archive and preset != "demo":
        raise ValueError("--archive: name the archive to train on; only --preset demo writes synthetic exams for itself")
    with session(config.cluster, quiet=quiet):
        archive = archive or synthetic.make_archive(out, config=config, quiet=quiet)
        stage.run(table, archive, out, config=config, num_seeds=seeds)
