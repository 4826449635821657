"""`mammoloop label`."""

from typing import Annotated

import typer

from pipelines.cli.options import ArchiveUri, Changes, ConfigFile, Json, Out, Preset, Quiet, start


def label(  # noqa: PLR0913, PLR0917 - a command has as many parameters as it has options
    archive: ArchiveUri,
    out: Out,
    only_new: Annotated[
        bool, typer.Option("--only-new", help="use the models that --out holds; never fine-tune")
    ] = False,
    retrain: Annotated[bool, typer.Option("--retrain", help="fine-tune new models and label everything anew")] = False,
    preset: Preset = "workstation",
    config_file: ConfigFile = None,
    changes: Changes = None,
    json_file: Json = None,
    quiet: Quiet = False,
) -> None:
    """Fine-tune the six report models and write a probability of mass per breast into the archive.

    Where --out already holds models, only the reports that came or changed since are read, with the settings that the
    models were made with.

    Example: `mammoloop label --archive archive --out run --preset demo`, and after new reports again with --only-new
    """
    from pipelines.cluster import session
    from pipelines.label import refresh, run
    from pipelines.page.gather import label_note, label_rows
    from system.errors import UserError
    from system.figures.console import console
    from system.figures.tables import label_table
    from system.files.json_out import write_json
    from system.run.folder import RunFolder

    if only_new and retrain:
        raise UserError("--only-new keeps the models and --retrain fine-tunes new ones: give one of them")
    config = start(preset, config_file, changes, quiet=quiet)
    folder = RunFolder(out)
    known = None if retrain else folder.last_labelling()
    if only_new and known is None:
        raise UserError(
            f"--only-new: {out.name} holds no finished report models; run `mammoloop label` without it first"
        )
    settings, resources = config.reports, config.resources.reports
    if folder.archive_pin.finished:
        folder.newest_archive(uri=archive)  # refuses another archive than the run's
    stage = known or folder.next_labelling()
    stage.check_settings(settings, above="reports")  # before Ray starts
    screen = console(json_file=json_file)
    with session(config.resources.cluster):
        if known:
            found = refresh(archive, config=settings, resources=resources, stage=stage)
            screen.print(found.line())
        else:
            found = run(archive, config=settings, resources=resources, stage=stage)
            screen.print(label_table(label_rows(found), note=label_note(found)))
    if json_file:
        write_json(json_file, found)
