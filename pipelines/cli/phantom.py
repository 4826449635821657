"""`mammoloop phantom`."""

from pathlib import Path
from typing import Annotated

import typer

from pipelines.cli.options import Quiet, set_up_logging


def phantom(
    out: Annotated[Path, typer.Option(help="folder of the exams")],
    exams: Annotated[int, typer.Option(min=1)] = 100,
    seed: Annotated[int, typer.Option(min=0)] = 0,
    size: Annotated[str, typer.Option(help="rows x columns of each image")] = "320x256",
    quiet: Quiet = False,
) -> None:
    """Write synthetic four-view exams: dicom/, masks/, reports.csv, truth.csv. The same seed gives the same bytes.

    Example: `mammoloop phantom --exams 50 --seed 3 --size 640x512 --out phantom`
    """
    from pydantic import ValidationError

    from pipelines.experiments.phantom import run
    from system.errors import UserError
    from system.phantom import PhantomConfig

    set_up_logging(quiet=quiet)
    rows, times, cols = size.partition("x")
    if not times or not rows.isdigit() or not cols.isdigit():
        raise UserError(f"--size {size!r} is no size; write rows x columns, e.g. 320x256")
    try:
        config = PhantomConfig(height_px=int(rows), width_px=int(cols))
    except ValidationError as error:
        mistakes = "; ".join(f"{'.'.join(map(str, item['loc']))}: {item['msg']}" for item in error.errors())
        raise UserError(f"--size {size!r}: {mistakes}") from None
    run(out, num_exams=exams, seed=seed, config=config, quiet=quiet)
