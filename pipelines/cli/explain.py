"""`mammoloop explain`."""

from pathlib import Path
from typing import Annotated

import typer

from pipelines.cli.options import Json, Moved, Quiet, Run, set_up_logging


def explain(
    run: Run,
    image: Annotated[str, typer.Option(help="image_id, as in the run's and the archive's tables")],
    picture: Annotated[
        Path | None, typer.Option(help="PNG to write; default: explain/IMAGE.png in the run's folder")
    ] = None,
    archive: Moved = "",
    json_file: Json = None,
    quiet: Quiet = False,
) -> None:
    """Explain one image: why each candidate is a hit or a false positive, or in which pools the image is, and why.

    Of a held-out image: every system's candidates with their best overlap, also below the limit of a hit, and the
    thresholds in force. Of a weak image: p_mass and the report's sentence, and at each p0 of each round the quadrant
    and whether it trains.

    Example: `mammoloop explain --run demo/run --image 0123456789abcdef01234567`
    """
    from pipelines.tools.explain import run as explain_run

    set_up_logging(quiet=quiet)
    explain_run(run, image, archive_uri=archive, picture=picture, json_file=json_file)
