"""`mammoloop sweep`."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from pipelines.cli.options import Changes, ConfigFile, Json, Moved, OwnPreset, Quiet, start

if TYPE_CHECKING:
    from system.config import RunConfig
    from tune_spaces import Space

_SPACES = "paper_grid, labels, loss, wide, stage1, mining, masks, or a YAML file of your own"
_KINDS = "stage1, retrain, loop or refine; by default the space's own"


def sweep(  # noqa: PLR0913, PLR0917 - a command has as many parameters as it has options
    run: Annotated[
        Path, typer.Option(help="folder of the run that the trials start from", exists=True, file_okay=False)
    ],
    out: Annotated[Path, typer.Option(help="folder of the sweep")],
    space: Annotated[str, typer.Option(help=_SPACES)] = "paper_grid",
    kind: Annotated[str, typer.Option(help=f"what a trial does: {_KINDS}")] = "",
    archive: Moved = "",
    round_number: Annotated[
        int, typer.Option("--round", min=1, help="whose pools are retrained on, or whose maps are refined")
    ] = 1,
    trials: Annotated[
        int, typer.Option(min=0, help="trials of a space that is searched; 0 = the space's own number")
    ] = 0,
    hours: Annotated[float, typer.Option(min=0, help="after which no trial is begun any more; 0 = no limit")] = 0,
    concurrent: Annotated[int, typer.Option(min=0, help="trials side by side; 0 = as many as fit")] = 0,
    objective: Annotated[list[str] | None, typer.Option(help="sensitivity, or also seconds; may be repeated")] = None,
    stop_early: Annotated[
        bool | None,
        typer.Option("--stop-early/--no-stop-early", help="end poor trials early (ASHA); by default in a search"),
    ] = None,
    grace: Annotated[int, typer.Option(min=1, help="epochs that every trial gets before it may be ended early")] = 1,
    storage: Annotated[
        str,
        typer.Option(
            help="database of the study, sqlite:///FILE or postgresql://...; by default a file in --out",
            envvar="MAMMOLOOP_STORAGE",
            show_envvar=True,
        ),
    ] = "",
    study: Annotated[str, typer.Option(help="name of the study; by default that of --out")] = "",
    warm_start: Annotated[
        Path | None,
        typer.Option(help="folder of an earlier sweep, whose trials are known", exists=True, file_okay=False),
    ] = None,
    confirm: Annotated[int, typer.Option(min=0, help="train the best anew with so many fresh seeds")] = 0,
    best: Annotated[int, typer.Option(min=1, help="settings that --confirm trains anew, beside the start")] = 3,
    final: Annotated[bool, typer.Option("--final", help="take the winner's numbers on test, once")] = False,
    preset: OwnPreset = "",
    config_file: ConfigFile = None,
    changes: Changes = None,
    json_file: Json = None,
    quiet: Quiet = False,
) -> None:
    """Try settings one after another or side by side, and rank them on validation.

    What the space does not vary is as in the run, or as a preset says. The same command goes on where it was stopped.

    Example: `mammoloop sweep --run demo/run --archive demo/archive --space paper_grid --out sweep`

    With a space of one's own, and fresh seeds for the best: `--space my_space.yaml --trials 40 --confirm 3`
    """
    from system.run.folder import RunFolder
    from tune_spaces import fitted, trials_of

    own = None if preset else RunFolder(run).config()
    config = start(preset or "workstation", config_file, changes, quiet=quiet, base=own).of_run()
    found, is_own = _space(space, config)
    fit = fitted(found, kind=kind or found.kind, config=config, own=is_own)
    wanted = trials_of(fit.space, asked=trials)  # before Ray is even imported

    from pipelines.cluster import session
    from pipelines.sweep.inputs import prepare
    from pipelines.sweep.run import SweepPlan, check_plan
    from pipelines.sweep.run import run as sweep_run
    from pipelines.sweep.study import objectives_of

    searched = not fit.space.grid and fit.space.kind != "refine" and len(objective or []) < 2
    plan = SweepPlan(
        wanted=wanted,
        hours=hours,
        concurrent=concurrent,
        objectives=objectives_of(objective or []),
        stop_early=searched if stop_early is None else stop_early,
        grace=grace,
        storage=storage,
        study_name=study,
        warm_start=warm_start,
        seeds=confirm,
        best=best,
        final=final,
    )
    check_plan(plan, kind=fit.space.kind)
    inputs = prepare(run, archive, out, space=fit.space, space_name=space, config=config, round_number=round_number)
    _say_left_out(fit.left_out)
    cluster = config.resources.cluster.changed(dashboard=True)  # Ray Tune with Ray Train inside needs it
    with session(cluster):
        sweep_run(inputs, fit.space, plan, json_file=json_file)


def _space(name: str, config: "RunConfig") -> tuple["Space", bool]:
    """Return the space, and whether it is the user's own."""
    from pipelines.cli.options import yaml_text
    from system.errors import UserError
    from tune_spaces import find, read_space

    if not name.endswith((".yaml", ".yml")):
        return find(config.method, name), False
    file = Path(name)
    if not file.is_file():
        raise UserError(f"--space: the file {file} does not exist")
    return read_space(yaml_text(file), name=file.name), True


def _say_left_out(left_out: tuple[str, ...]) -> None:
    import logging

    for line in left_out:
        logging.getLogger("mammoloop").info("left out of the space: %s", line)
