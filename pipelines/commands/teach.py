# ruff: noqa: PLR0913, PLR0917 - a command has as many parameters as it has options
"""Commands that bring exams and reports in and teach a detector with them."""

from pathlib import Path
from typing import Annotated

import typer

from pipelines.commands.options import (
    ArchiveUri,
    Changes,
    ConfigFile,
    LayoutName,
    Out,
    Preset,
    Quiet,
    set_up_logging,
    start,
)

app = typer.Typer()
quarantine = typer.Typer(
    no_args_is_help=True,
    rich_markup_mode="markdown",
    help="See what ingest kept out, and try it again.\n\nExample: `mammoloop quarantine list --archive archive`",
)
app.add_typer(quarantine, name="quarantine")
review = typer.Typer(
    no_args_is_help=True,
    rich_markup_mode="markdown",
    help="Put images before a radiologist; take her verdicts in.\n\nExample: `mammoloop review export --run run --round 1 --out review`",
)
app.add_typer(review, name="review")


@app.command()
def demo(out: Out = Path("demo"), config_file: ConfigFile = None, changes: Changes = None, quiet: Quiet = False) -> None:
    """Write synthetic exams and run the whole loop on them: two cores, no GPU, minutes.

    Example: `mammoloop demo --out demo --set demo.seed=2`
    """
    from pipelines import demo as stage

    config = start("demo", config_file, changes, quiet=quiet)
    stage.run(out, config=config, quiet=quiet)


@app.command()
def phantom(
    out: Out,
    exams: Annotated[int, typer.Option(min=1)] = 100,
    seed: Annotated[int, typer.Option(min=0)] = 0,
    size: Annotated[str, typer.Option(help="rows x columns of each image")] = "320x256",
    quiet: Quiet = False,
) -> None:
    """Write synthetic four-view exams: dicom/, masks/, reports.csv, truth.csv. The same seed gives the same bytes.

    Example: `mammoloop phantom --exams 50 --seed 3 --size 640x512 --out phantom`
    """
    from pipelines import phantom as stage
    from system.phantom import PhantomConfig

    set_up_logging(quiet=quiet)
    rows, times, cols = size.partition("x")
    if not times or not rows.isdigit() or not cols.isdigit():
        raise ValueError(f"--size {size!r} is no size; write rows x columns, e.g. 320x256")
    stage.run(out, num_exams=exams, seed=seed, config=PhantomConfig(height_px=int(rows), width_px=int(cols)), quiet=quiet)


@app.command()
def ingest(
    source: Annotated[Path, typer.Option(help="folder of the data set", exists=True, file_okay=False)],
    archive: ArchiveUri,
    layout: LayoutName = "dicom",
    force: Annotated[bool, typer.Option("--force", help="read again what was read before, and replace images and masks")] = False,
    preset: Preset = "workstation",
    config_file: ConfigFile = None,
    changes: Changes = None,
    quiet: Quiet = False,
) -> None:
    """Read images and reports into an archive; what cannot be used is quarantined, not fatal.

    Files that were read before and have not changed are not opened again, so a killed ingest is simply started again.

    Example: `mammoloop ingest --source mini-mias --layout mini-mias --archive archive --preset demo`
    """
    _ingest(source, archive, layout, start(preset, config_file, [*(changes or []), f"ingest.force={force}"], quiet=quiet), quiet=quiet)


@quarantine.command("list")
def quarantine_list(archive: ArchiveUri, code: Annotated[str, typer.Option(help="show the details of one reason")] = "") -> None:
    """Show what was kept out of an archive, and why.

    Example: `mammoloop quarantine list --archive archive --code view`
    """
    from pipelines import quarantine as stage
    from pipelines.console import console

    console().print(stage.run(archive, code=code))


@quarantine.command("retry")
def quarantine_retry(
    source: Annotated[Path, typer.Option(help="folder the files came from", exists=True, file_okay=False)],
    archive: ArchiveUri,
    code: Annotated[list[str], typer.Option(help="reason to try again; may be repeated")],
    layout: LayoutName = "dicom",
    preset: Preset = "workstation",
    config_file: ConfigFile = None,
    changes: Changes = None,
    quiet: Quiet = False,
) -> None:
    """Read quarantined files again, after a disk was mounted or a setting changed; the archive keeps no names, so name their folder.

    Example: `mammoloop quarantine retry --source dump --archive archive --code timeout --set ingest.timeout_s=600`
    """
    config = start(preset, config_file, changes, quiet=quiet)
    _ingest(source, archive, layout, config, quiet=quiet, again=frozenset(code))


def _ingest(source: Path, archive: str, layout: str, config, *, quiet: bool, again: frozenset[str] = frozenset()) -> None:
    from pipelines import ingest as stage
    from pipelines.cluster import session
    from pipelines.console import console

    with session(config.cluster, quiet=quiet):
        summary = stage.run(source, archive, layout=layout, config=config.ingest, again=again)
    console().print(stage.summary_table(summary))


@app.command()
def reports(
    file: Annotated[Path, typer.Option(help="reports.csv or reports.parquet", exists=True, dir_okay=False)],
    archive: ArchiveUri,
    quiet: Quiet = False,
) -> None:
    """Take in new, corrected and withdrawn reports without reading any image.

    Columns: study (StudyInstanceUID), version, status (final, corrected, withdrawn), language, description, impression.

    Example: `mammoloop reports --file today.csv --archive archive`
    """
    from pipelines import ingest as stage

    set_up_logging(quiet=quiet)
    typer.echo(f"{stage.run_reports(file, archive)} reports taken in")


@app.command()
def label(
    archive: ArchiveUri,
    out: Out,
    only_new: Annotated[bool, typer.Option("--only-new", help="use the models that --out holds; never teach")] = False,
    retrain: Annotated[bool, typer.Option("--retrain", help="teach new models and label everything anew")] = False,
    preset: Preset = "workstation",
    config_file: ConfigFile = None,
    changes: Changes = None,
    quiet: Quiet = False,
) -> None:
    """Fine-tune the six report models and write a probability of mass per breast into the archive.

    Where --out already holds models, only the reports that came or changed since are read.

    Example: `mammoloop label --archive archive --out run --preset demo`, and after new reports again with --only-new
    """
    from pipelines import label as stage
    from pipelines.cluster import session
    from pipelines.console import console
    from pipelines.report import label_rows
    from system.figures import label_table

    if only_new and retrain:
        raise ValueError("--only-new keeps the models and --retrain teaches new ones: give one of them")
    config = start(preset, config_file, changes, quiet=quiet)
    known = None if retrain else stage.latest(out)
    if only_new and known is None:
        raise ValueError(f"--only-new: {out.name} holds no finished report models; run `mammoloop label` without it first")
    with session(config.cluster, quiet=quiet):
        if known:
            typer.echo(stage.refresh(archive, config=config.reports, stage=known).line())
        else:
            manifest = stage.run(archive, config=config.reports, stage=stage.following(out))
            console().print(label_table(label_rows(manifest)))


@app.command()
def selftrain(
    archive: ArchiveUri,
    out: Out,
    preset: Preset = "workstation",
    config_file: ConfigFile = None,
    changes: Changes = None,
    quiet: Quiet = False,
) -> None:
    """Run the loop on an archive: label, train, then infer, mine, retrain and evaluate round after round.

    Killed and started again with the same words, it goes on after the last finished stage.

    Example: `mammoloop selftrain --preset demo --archive archive --out run --set rounds.num_rounds=1`
    """
    from pipelines import selftrain as stage
    from pipelines.cluster import session
    from pipelines.report import present

    config = start(preset, config_file, changes, quiet=quiet)
    with session(config.cluster, quiet=quiet):
        systems = stage.run(archive, out, config=config)
    present(out, systems, archive_uri=archive, config=config)


@app.command()
def infer(
    run: Annotated[Path, typer.Option(help="folder of a run whose model for the round is trained", exists=True, file_okay=False)],
    number: Annotated[int, typer.Option("--round", min=1, help="round whose weak images are to be inferred")],
    quiet: Quiet = False,
) -> None:
    """Do one round's inference over the weak images, with the run's own settings, and say what it came to.

    The loop does so itself; alone it serves to do this part on other machines, or to see how fast it is. Killed, it goes on where it was.

    Example: `mammoloop infer --run run --round 1`
    """
    from pipelines import selftrain as stage
    from pipelines.cluster import session
    from pipelines.console import console
    from pipelines.infer_summary import summary_table

    set_up_logging(quiet=quiet)
    config = stage.config_of(run)
    with session(config.cluster, quiet=quiet):
        predictions = stage.infer_alone(run, number, config=config)
    console().print(summary_table(predictions))


@review.command("export")
def review_export(
    run: Annotated[Path, typer.Option(help="folder of a run", exists=True, file_okay=False)],
    number: Annotated[int, typer.Option("--round", min=1, help="round whose inference is done")],
    out: Annotated[Path, typer.Option(help="folder of the queue")],
    size: Annotated[int, typer.Option(min=1, help="images")] = 100,
    random_share: Annotated[float, typer.Option(min=0, max=1, help="of them drawn at random: they tell how pure the pools are")] = 0.2,
    seed: Annotated[int, typer.Option(min=0, help="of the draw")] = 0,
    quiet: Quiet = False,
) -> None:
    """Write the images a radiologist should see next: queue.csv to fill in, pictures, overlays, COCO JSON.

    In the column verdict of queue.csv write mass, no mass or unsure; x0, y0, x1, y1 may hold the box of a mass in the picture's pixels.

    Example: `mammoloop review export --run run --round 1 --out review --size 50`
    """
    from pipelines import review as stage
    from system.review import QueueConfig

    set_up_logging(quiet=quiet)
    why = stage.export(run, number, out, config=QueueConfig(size=size, random_share=random_share, seed=seed))
    typer.echo(f"{sum(why.values())} images in {out}: " + ", ".join(f"{count} {reason}" for reason, count in why.items()))


@review.command("import")
def review_import(
    file: Annotated[Path, typer.Option(help="queue.csv with verdicts", exists=True, dir_okay=False)],
    archive: ArchiveUri,
    reader: Annotated[str, typer.Option(help="who has read")],
    coco: Annotated[Path | None, typer.Option(help="COCO JSON with her outlines", exists=True, dir_okay=False)] = None,
    quiet: Quiet = False,
) -> None:
    """Take verdicts into the archive: they beat every label, and an outlined mass teaches like an annotated one from the next round on.

    Example: `mammoloop review import --file review/queue.csv --archive archive --reader R1`
    """
    from pipelines import review as stage

    set_up_logging(quiet=quiet)
    taken = stage.take_in(file, archive, reader=reader, coco=coco)
    words = ", ".join(f"{count} {verdict}" for verdict, count in taken.verdicts.items()) or "none filled in"
    typer.echo(f"verdicts: {words}; {taken.num_outlined} outlined")


@app.command()
def sweep(
    run: Annotated[Path, typer.Option(help="folder of a finished run, whose pools are taken as they are", exists=True, file_okay=False)],
    archive: ArchiveUri,
    out: Out,
    space: Annotated[str, typer.Option(help="paper_grid or wide")] = "paper_grid",
    trials: Annotated[int, typer.Option(min=0, help="trials of a space that is no grid; 0 = the space's own number")] = 0,
    preset: Preset = "workstation",
    config_file: ConfigFile = None,
    changes: Changes = None,
    quiet: Quiet = False,
) -> None:
    """Retrain on a frozen pool once per setting of a tune space, and rank the settings on validation.

    Example: `mammoloop sweep --run demo/run --archive demo/archive --space paper_grid --preset demo --out sweep`
    """
    from pipelines import sweep as stage
    from pipelines.cluster import session

    config = start(preset, config_file, changes, quiet=quiet)
    config = config.model_copy(update={"cluster": config.cluster.model_copy(update={"dashboard": True})})  # nested Tune and Train need it
    with session(config.cluster, quiet=quiet):
        stage.run(run, archive, out, space=space, num_trials=trials, config=config)
