"""`mammoloop froc`."""

from pathlib import Path
from typing import Annotated, Literal

import typer

from pipelines.cli.options import Json, writable


def froc(  # noqa: PLR0913, PLR0917 - a command has as many parameters as it has options
    images: Annotated[
        Path, typer.Option(help="CSV: image_id, patient_id; all that were looked at", exists=True, dir_okay=False)
    ],
    lesions: Annotated[Path, typer.Option(help="CSV: image_id, x0, y0, x1, y1", exists=True, dir_okay=False)],
    candidates: Annotated[Path, typer.Option(help="CSV: image_id, score, x0, y0, x1, y1", exists=True, dir_okay=False)],
    match: Annotated[
        Literal["iou", "iom", "centre"], typer.Option(help="what makes a hit; iom: over the smaller box")
    ] = "iou",
    overlap: Annotated[
        float | None,
        typer.Option(
            "--iou", min=0, max=1, help="limit of iou (above it) or iom (from it on); none given: 0.2 and 0.5"
        ),
    ] = None,
    duplicates: Annotated[
        Literal["ignore", "fp"], typer.Option(help="what further hits on a found lesion count as")
    ] = "ignore",
    per: Annotated[
        Literal["image", "breast"],
        typer.Option(help="breast: found in any view; needs a column breast_id in the images"),
    ] = "image",
    fppi: Annotated[str, typer.Option(help="operating points, false positives per image")] = "0.1,0.2,0.5,1",
    bootstrap: Annotated[int, typer.Option(min=1, help="resamples of the patients")] = 1000,
    seed: Annotated[int, typer.Option(min=0, help="of the resampling")] = 0,
    json_file: Json = None,
    table: Annotated[
        Path | None, typer.Option(callback=writable, help="also write what became of every candidate here, CSV")
    ] = None,
) -> None:
    """Measure any system's boxes: sensitivity at so many false positives per image, with intervals by patient.

    Boxes are half open (x1 and y1 are the first pixel outside), all in the pixels of their image.

    Example: `mammoloop froc --images images.csv --lesions lesions.csv --candidates candidates.csv --json froc.json`
    """
    from pipelines.tools.froc import run
    from system.errors import UserError
    from system.metrics import BoxRules, FrocConfig
    from system.metrics.boxes import LIMITS

    try:
        points = tuple(map(float, fppi.split(",")))
        config = FrocConfig(duplicates=duplicates, fppi=points, bootstrap=bootstrap, seed=seed)
    except ValueError:
        raise UserError(
            f"--fppi {fppi!r}: expected numbers of at least 0 with commas between them, e.g. 0.1,0.2,0.5,1"
        ) from None
    if match == "centre" and overlap is not None:
        raise UserError("--iou sets the limit of an overlap, and --match centre asks for none: leave one of them out")
    rules = BoxRules(how=match, limit=LIMITS[match] if overlap is None else overlap, per=per)
    run(images, lesions, candidates, rules=rules, config=config, json_file=json_file, table_file=table)
