"""`mammoloop status`."""

from pipelines.cli.options import Json, Run


def status(run: Run, json_file: Json = None) -> None:
    """Show how far a run has come: stage, epoch, time left, last checkpoint, pools, best so far, what it waits for.

    Answers at once, also while the run is at work or after it was killed; it changes nothing.

    Example: `mammoloop status --run run --json`
    """
    from pipelines.tools.status import lines
    from system.figures.console import console
    from system.files.json_out import write_json
    from system.run.progress import progress_of

    found = progress_of(run)
    screen = console(json_file=json_file)
    for line in lines(found):
        screen.print(line)
    if json_file:
        write_json(json_file, found)
