"""`mammoloop selftrain`."""

from typing import Annotated

import typer

from pipelines.cli.options import ArchiveUri, Changes, ConfigFile, Out, OwnPreset, Quiet, start

Start = Annotated[
    str,
    typer.Option(
        "--from", help="with --rounds: system that the new rounds go on from, e.g. round_01; by default the best so far"
    ),
]
Rounds = Annotated[str, typer.Option(help="how many rounds in all; +1: one more than the run in --out has done")]


def selftrain(  # noqa: PLR0913, PLR0917 - a command has as many parameters as it has options
    archive: ArchiveUri,
    out: Out,
    preset: OwnPreset = "",
    rounds: Rounds = "",
    system: Start = "",
    config_file: ConfigFile = None,
    changes: Changes = None,
    quiet: Quiet = False,
) -> None:
    """Run the loop on an archive: label, train, then infer, mine, retrain and evaluate round after round.

    Killed and started again with the same arguments, it goes on after the last finished stage. Keys under `resources`
    may differ then: a run begun on twelve GPUs goes on with eight.

    A run that has come to its end goes on with --rounds +1: it labels the reports that came or changed since, takes in
    verdicts and new studies, and goes on from its best model. It is measured on the patients that it began with.

    A new run without --preset takes `workstation`; a run goes on with its own settings.

    Example: `mammoloop selftrain --preset demo --archive archive --out run --rounds 1`, and a week later
    `mammoloop selftrain --archive archive --out run --rounds +1`
    """
    from system.run.folder import RunFolder
    from system.run.going_on import check_start, with_rounds

    folder = RunFolder(out)
    own = folder.config() if folder.begun and not preset else None
    config = start(preset or "workstation", config_file, changes, quiet=quiet, base=own)
    config, more = with_rounds(config, rounds, folder=folder)
    check_start(folder, system, num_rounds=config.rounds.num_rounds, more=more)
    folder.check_recipe(config.changed(net=config.net.located()))  # before Ray is even imported

    from pipelines.cluster import session
    from pipelines.page.gather import present
    from pipelines.selftrain import run

    with session(config.resources.cluster):
        run(archive, out, config=config, more=more, start=system)
    present(folder, archive_uri=archive, config=config.of_run())
