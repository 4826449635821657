"""`mammoloop selftrain`."""

from pipelines.cli.options import ArchiveUri, Changes, ConfigFile, Out, Preset, Quiet, start


def selftrain(
    archive: ArchiveUri,
    out: Out,
    preset: Preset = "workstation",
    config_file: ConfigFile = None,
    changes: Changes = None,
    quiet: Quiet = False,
) -> None:
    """Run the loop on an archive: label, train, then infer, mine, retrain and evaluate round after round.

    Killed and started again with the same arguments, it goes on after the last finished stage. Keys under `resources`
    may differ then: a run begun on twelve GPUs goes on with eight.

    Example: `mammoloop selftrain --preset demo --archive archive --out run --set rounds.num_rounds=1`
    """
    from pipelines.cluster import session
    from pipelines.page.gather import present
    from pipelines.selftrain import run
    from system.run.folder import RunFolder

    config = start(preset, config_file, changes, quiet=quiet)
    with session(config.resources.cluster):
        run(archive, out, config=config)
    present(RunFolder(out), archive_uri=archive, config=config.of_run())
