"""`mammoloop demo`."""

from pathlib import Path
from typing import Annotated

import typer

from pipelines.cli.options import Changes, ConfigFile, Quiet, start


def demo(
    out: Annotated[Path, typer.Option(help="folder of exams, archive and run")] = Path("demo"),
    config_file: ConfigFile = None,
    changes: Changes = None,
    quiet: Quiet = False,
) -> None:
    """Write synthetic exams and run the whole loop on them: two cores, no GPU, minutes.

    Example: `mammoloop demo --out demo --set demo.seed=2`
    """
    from system.config import DemoConfig
    from system.run.folder import RunFolder

    config = start("demo", config_file, changes, quiet=quiet)
    assert isinstance(config, DemoConfig)
    RunFolder(out / "run").check_recipe(config.changed(net=config.net.located()))  # before Ray is even imported

    from pipelines.experiments.demo import run

    run(out, config=config, quiet=quiet)
