"""`mammoloop reproduce`."""

from pathlib import Path
from typing import Annotated, Literal

import typer

from pipelines.cli.options import Changes, ConfigFile, Preset, Quiet, start


def reproduce(  # noqa: PLR0913, PLR0917 - a command has as many parameters as it has options
    table: Annotated[
        Literal["table2", "table3", "table4", "figure4", "ablations"],
        typer.Argument(help="of the paper; ablations: the configured run, and one part changed at a time"),
    ],
    out: Annotated[Path, typer.Option(help="folder of the table and its runs")],
    archive: Annotated[
        str,
        typer.Option(
            "--archive", help="folder or URI; with --preset demo synthetic exams are written if none is given"
        ),
    ] = "",
    seeds: Annotated[int, typer.Option(min=1, help="trainings of every cell; their mean is shown")] = 1,
    preset: Preset = "workstation",
    config_file: ConfigFile = None,
    changes: Changes = None,
    quiet: Quiet = False,
) -> None:
    """Train the grid of one of the paper's tables on an archive, and print our numbers beside the paper's.

    Cells run side by side where the cluster has room. Killed and started again with the same arguments, it goes on
    cell by cell; tables made in one --out share what they have in common.

    Ablations say what each part of the rounds is worth, against as many more supervised steps.

    Example: `mammoloop reproduce table3 --preset demo --out table3`, two cores, under an hour

    Example: `mammoloop reproduce ablations --preset demo --set strong_share=1 --out ablations`
    """
    from pipelines.cluster import session
    from pipelines.experiments import ablations
    from pipelines.experiments.demo import make_archive
    from pipelines.experiments.reproduce import claimed, run
    from system.config import DemoConfig
    from system.errors import UserError

    config = start(preset, config_file, changes, quiet=quiet)
    if not archive and not isinstance(config, DemoConfig):
        raise UserError("--archive: name the archive to train on; only --preset demo writes synthetic exams for itself")
    made = archive or str(out / "archive")
    if archive or (out / "archive" / "archive.json").exists():
        what = "set of ablations" if table == "ablations" else "reproduction"
        claimed(made, out, config=config.of_run(), what=what)  # what does not fit is said before Ray starts
    with session(config.resources.cluster):
        if not archive and isinstance(config, DemoConfig):
            archive = make_archive(out, config=config, quiet=quiet)
        if table == "ablations":
            ablations.run(archive, out, config=config.of_run(), num_seeds=seeds)
        else:
            run(table, archive, out, config=config.of_run(), num_seeds=seeds)
