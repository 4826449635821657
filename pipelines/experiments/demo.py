"""The whole product on synthetic exams: write them, ingest them, run the loop, show what it brought."""

import logging
import time
from dataclasses import dataclass
from pathlib import Path

from pipelines import ingest, selftrain
from pipelines.cluster import session
from pipelines.experiments import phantom
from pipelines.ingest import IngestSummary
from pipelines.page.gather import present
from system.config import DemoConfig
from system.run.folder import RunFolder
from system.run.stage import Stage, Written

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class ExamsResult:
    """What writing the synthetic exams came to."""

    num_exams: int


def run(out: Path, *, config: DemoConfig, quiet: bool) -> None:
    """Write `out`/phantom, `out`/archive and `out`/run, and print the table; a finished part is not done again."""
    start_s = time.monotonic()
    with session(config.resources.cluster):
        archive = make_archive(out, config=config, quiet=quiet)
        selftrain.run(archive, out / "run", config=config)
    present(RunFolder(out / "run"), archive_uri=archive, config=config)
    log.info("demo done in %.1f minutes", (time.monotonic() - start_s) / 60)


def make_archive(out: Path, *, config: DemoConfig, quiet: bool) -> str:
    """Write `out`/phantom and `out`/archive unless they are there; return the archive's place. Needs a running Ray."""
    source, archive, exams = out / "phantom", str(out / "archive"), config.demo

    def write(_: Path) -> Written[ExamsResult]:
        phantom.run(source, num_exams=exams.num_exams, seed=exams.seed, config=exams.phantom, quiet=quiet)
        return Written(ExamsResult(exams.num_exams), settings=exams)

    # The ids, and with them the splits, must repeat for the demo to repeat; synthetic patients have nothing to hide.
    settings = config.ingest.changed(fixed_key=f"demo {exams.seed}", split=exams.split)
    Stage(out, "exams", ExamsResult).once(write)
    Stage(out, "ingested", IngestSummary).once(
        lambda _: Written(ingest.run(source, archive, layout="phantom", config=settings))
    )
    return archive
