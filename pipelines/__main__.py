# ruff: noqa: PLR0913, PLR0917 - a command has as many parameters as it has options
"""The `mammoloop` command. Heavy modules are imported inside the commands, so that `--help` answers at once."""

import logging
import sys
from pathlib import Path
from typing import Annotated, Literal

import typer

app = typer.Typer(no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False, rich_markup_mode="markdown")
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

Preset = Annotated[str, typer.Option(help="demo, workstation, paper or cluster")]
ConfigFile = Annotated[Path | None, typer.Option("--config", help="YAML file that changes the preset")]
Changes = Annotated[list[str] | None, typer.Option("--set", help="one setting, e.g. stage1.batch_size=12; may be repeated")]
ArchiveUri = Annotated[str, typer.Option("--archive", help="folder or URI of the archive")]
LayoutName = Annotated[str, typer.Option("--layout", help="dicom, phantom, views, mini-mias, cbis-ddsm, inbreast, vindr-mammo or cmmd")]
Out = Annotated[Path, typer.Option(help="folder of the run")]
Quiet = Annotated[bool, typer.Option("--quiet", help="results and warnings only")]


@app.command()
def demo(out: Out = Path("demo"), config_file: ConfigFile = None, changes: Changes = None, quiet: Quiet = False) -> None:
    """Write synthetic exams and run the whole loop on them: two cores, no GPU, minutes.

    Example: `mammoloop demo --out demo --set demo.seed=2`
    """
    from pipelines import demo as stage

    config = _start("demo", config_file, changes, quiet=quiet)
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

    _set_up_logging(quiet=quiet)
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
    _ingest(source, archive, layout, _start(preset, config_file, [*(changes or []), f"ingest.force={force}"], quiet=quiet), quiet=quiet)


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
    config = _start(preset, config_file, changes, quiet=quiet)
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

    _set_up_logging(quiet=quiet)
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
    config = _start(preset, config_file, changes, quiet=quiet)
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

    config = _start(preset, config_file, changes, quiet=quiet)
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

    _set_up_logging(quiet=quiet)
    config = stage.config_of(run)
    with session(config.cluster, quiet=quiet):
        predictions = stage.infer_alone(run, number, config=config)
    console().print(summary_table(predictions))


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

    config = _start(preset, config_file, changes, quiet=quiet)
    detector = stage.detector_of(checkpoint, config=config, floor=floor)
    with session(config.cluster, quiet=quiet):
        found = stage.run(images, out, detector=detector, layout=layout, config=config, overlays=overlays)
    console().print(found.table())
    typer.echo(f"candidates begin at probability {detector.candidate_floor:.3g}, {detector.reason}; findings in {out}")


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

    _set_up_logging(quiet=quiet)
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

    _set_up_logging(quiet=quiet)
    taken = stage.take_in(file, archive, reader=reader, coco=coco)
    words = ", ".join(f"{count} {verdict}" for verdict, count in taken.verdicts.items()) or "none filled in"
    typer.echo(f"verdicts: {words}; {taken.num_outlined} outlined")


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

    _set_up_logging(quiet=quiet)
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

    config = _start(preset, config_file, changes, quiet=quiet)
    config = config.model_copy(update={"cluster": config.cluster.model_copy(update={"dashboard": True})})  # nested Tune and Train need it
    with session(config.cluster, quiet=quiet):
        stage.run(run, archive, out, space=space, num_trials=trials, config=config)


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

    config = _start(preset, config_file, changes, quiet=quiet)
    if not archive and preset != "demo":
        raise ValueError("--archive: name the archive to train on; only --preset demo writes synthetic exams for itself")
    with session(config.cluster, quiet=quiet):
        archive = archive or synthetic.make_archive(out, config=config, quiet=quiet)
        stage.run(table, archive, out, config=config, num_seeds=seeds)


@app.command()
def doctor(preset: Preset = "workstation") -> None:
    """Say what this machine has and lacks: GPUs, weights, disk, Ray, versions.

    Example: `mammoloop doctor --preset paper`
    """
    from pipelines import doctor as stage

    raise typer.Exit(stage.report(_resolve(preset, None, None)))


@app.command()
def config(preset: Preset = "workstation", config_file: ConfigFile = None, changes: Changes = None) -> None:
    """Print the resolved configuration as YAML; every key can be given to --set or in a --config file.

    Example: `mammoloop config --preset demo --set rounds.num_rounds=3`
    """
    from system.config import as_yaml

    typer.echo(as_yaml(_resolve(preset, config_file, changes)), nl=False)


def main() -> None:
    """Run the command; a mistake of the user ends with exit code 2 and one message."""
    try:
        app()
    except (ValueError, FileNotFoundError) as error:
        typer.echo(f"mammoloop: {error}", err=True)
        sys.exit(2)


def _start(preset: str, config_file: Path | None, changes: list[str] | None, *, quiet: bool):
    _set_up_logging(quiet=quiet)
    return _resolve(preset, config_file, changes)


def _resolve(preset: str, config_file: Path | None, changes: list[str] | None):
    from system.config import resolve
    from system.presets import PRESETS

    if preset not in PRESETS:
        raise ValueError(f"--preset {preset!r} is no preset; choose one of {', '.join(PRESETS)}")
    if config_file and not config_file.is_file():
        raise FileNotFoundError(f"--config: the file {config_file} does not exist")
    text = config_file.read_text(encoding="utf8") if config_file else ""
    return resolve(PRESETS[preset](), text=text, settings=changes or [])


def _set_up_logging(*, quiet: bool) -> None:
    logging.basicConfig(level=logging.WARNING, format="%(asctime)s %(message)s", datefmt="%H:%M:%S", stream=sys.stderr)
    for name in ("mammoloop", "pipelines", "actors", "system"):
        logging.getLogger(name).setLevel(logging.WARNING if quiet else logging.INFO)


if __name__ == "__main__":
    main()
