"""`mammoloop evaluate`."""

from typing import Annotated, Literal

import typer

from pipelines.cli.options import Changes, Json, Moved, Quiet, Run, set_up_logging


def evaluate(
    run: Run,
    split: Annotated[
        Literal["test", "validation"], typer.Option(help="patients held out for the numbers, or for choices")
    ] = "test",
    changes: Changes = None,
    archive: Moved = "",
    json_file: Json = None,
    quiet: Quiet = False,
) -> None:
    """Measure a run's systems on a split: sensitivities with intervals, also by part.

    Parts are view, breast density, source and lesion size. With --set froc.KEY=VALUE by other rules than the run's;
    the run's own evaluation stays as it is.

    Example: `mammoloop evaluate --run demo/run --split test --json test.json`
    Example: `mammoloop evaluate --run demo/run --set froc.candidates=own_peak`
    """
    from pipelines.tools.evaluate_run import run as evaluate_run

    set_up_logging(quiet=quiet)
    evaluate_run(run, split=split, settings=changes or [], archive_uri=archive, json_file=json_file)
