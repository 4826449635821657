"""The `mammoloop` command: its commands put together, in the order in which they are used."""

import io
import sys
from typing import Annotated

import typer

from pipelines.cli import (
    catch_up,
    check,
    compare,
    config,
    demo,
    doctor,
    evaluate,
    explain,
    froc,
    infer,
    ingest,
    label,
    models,
    phantom,
    predict,
    quarantine,
    reports,
    reproduce,
    review,
    selftrain,
    status,
    sweep,
    watch,
    weights,
)
from pipelines.cli.ending import Stop, announce, end_process, ending_of, give_up
from pipelines.cli.words import InOrderOfUse, print_version
from pipelines.own_process import OWN

app = typer.Typer(cls=InOrderOfUse, no_args_is_help=True, pretty_exceptions_enable=False, rich_markup_mode="markdown")


@app.callback()
def mammoloop(
    version: Annotated[
        bool, typer.Option("--version", callback=print_version, is_eager=True, help="Show the version and exit.")
    ] = False,
) -> None:
    """Train a detector of masses in mammograms from few outlines and a large archive of reports."""


app.command()(demo.demo)
app.command()(doctor.doctor)
app.command()(config.config)
app.add_typer(weights.app, name="weights")
app.command()(phantom.phantom)
app.command()(check.check)
app.command()(ingest.ingest)
app.command()(reports.reports)
app.add_typer(quarantine.app, name="quarantine")
app.command()(label.label)
app.command()(selftrain.selftrain)
app.command()(status.status)
app.command()(infer.infer)
app.add_typer(review.app, name="review")
app.command()(evaluate.evaluate)
app.command()(compare.compare)
app.command()(explain.explain)
app.command()(predict.predict)
app.command()(froc.froc)
app.command()(watch.watch)
app.add_typer(models.app, name="models")
app.command()(catch_up.catch_up)
app.command()(sweep.sweep)
app.command()(reproduce.reproduce)


def process() -> None:
    """Run the command, and end the process with it."""
    OWN.ends_with_command, OWN.give_up = True, give_up
    try:
        main()
    except SystemExit as end:
        if not isinstance(end.code, int) or not end.code:
            raise
        end_process(end.code)


def main() -> None:
    """Run the command.

    A mistake that the user can mend ends with exit code 2 and its text, a fault of the machine with 75 and its text, a
    signal with 128 and its number; everything else with its traceback.
    """
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")  # paths may hold bytes that are no UTF-8
    stop = Stop()
    stop.listen()
    try:
        app()
    except BaseException as error:
        ending = stop.ending() or (ending_of(error) if isinstance(error, Exception) else None)
        if ending is None:
            raise
        announce(ending)
        sys.exit(ending.code)
    finally:
        stop.close()
