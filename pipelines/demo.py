"""The whole product on synthetic exams: write them, ingest them, run the loop, show what it brought."""

import logging
import time
from pathlib import Path

from pipelines import ingest, phantom, selftrain
from pipelines.cluster import session
from pipelines.report import present
from system.config import RunConfig
from system.runs import Stage

log = logging.getLogger(__name__)


def run(out: Path, *, config: RunConfig, quiet: bool) -> None:
    """Write `out`/phantom, `out`/archive and `out`/run, and print the table; a finished part is not done again."""
    start = time.monotonic()
    with session(config.cluster, quiet=quiet):
        archive = make_archive(out, config=config, quiet=quiet)
        systems = selftrain.run(archive, out / "run", config=config)
    present(out / "run", systems, archive_uri=archive, config=config)
    log.info("demo done in %.1f minutes", (time.monotonic() - start) / 60)


def make_archive(out: Path, *, config: RunConfig, quiet: bool) -> str:
    """Write `out`/phantom and `out`/archive unless they are there, and return the archive's place; needs a running Ray."""
    source, archive = out / "phantom", str(out / "archive")
    Stage(out, "exams").once(lambda _: _write(source, config, quiet=quiet))
    # The ids, and with them the splits, must repeat for the demo to repeat; synthetic women have nothing to hide.
    settings = config.ingest.model_copy(update={"fixed_key": f"demo {config.demo.seed}", "split": config.demo.split})
    Stage(out, "ingested").once(lambda _: _ingest(source, archive, settings))
    return archive


def _write(source: Path, config: RunConfig, *, quiet: bool):
    phantom.run(source, num_exams=config.demo.num_exams, seed=config.demo.seed, config=config.demo.phantom, quiet=quiet)
    return [], {"rows": config.demo.num_exams, "config": config.demo.model_dump(mode="json")}


def _ingest(source: Path, archive: str, settings):
    summary = ingest.run(source, archive, layout="phantom", config=settings)
    log.info("ingested: %s", summary)
    return [], {"rows": summary.num_stored}
