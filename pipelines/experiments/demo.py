"""The whole product on synthetic exams: write them, ingest them, run the loop, show what it brought."""

import logging
import re
import textwrap
import time
from dataclasses import dataclass
from pathlib import Path

from pipelines import ingest, selftrain
from pipelines.cluster import session
from pipelines.experiments import phantom
from pipelines.ingest import IngestSummary
from pipelines.page.gather import present
from system.config import DemoConfig
from system.figures.console import console
from system.run.folder import RunFolder
from system.run.stage import Stage, Written

log = logging.getLogger(__name__)

_COLUMNS = 76  # of a command's lines; with " \\" they fit where 80 do


@dataclass(frozen=True)
class ExamsResult:
    """What writing the synthetic exams came to."""

    num_exams: int


def run(out: Path, *, config: DemoConfig, quiet: bool) -> None:
    """Write `out`/phantom, `out`/archive and `out`/run, and print the table; a finished part is not done again."""
    start_s = time.monotonic()
    log.info("%s", opening(out, config))
    with session(config.resources.cluster):
        archive = make_archive(out, config=config, quiet=quiet)
        selftrain.run(archive, out / "run", config=config)
    present(RunFolder(out / "run"), archive_uri=archive, config=config)
    if not quiet:
        console().print("\n".join(["", "What to try next:", *what_next(out, config)]), soft_wrap=True)
    log.info("demo done in %.1f minutes", (time.monotonic() - start_s) / 60)


def opening(out: Path, config: DemoConfig) -> str:
    """Return what the demo is about to show, for people."""
    beside = ", each beside a control of as many more steps on outlines alone," if config.rounds.control else ""
    return (
        f"The demo writes {config.demo.num_exams} synthetic exams with reports into {out}, takes "
        f"{config.strong_share:.0%} of the outlined patients as the only outlines there are, trains a detector on "
        f"them, and shows what {config.rounds.num_rounds} rounds of self-training on reports{beside} add to it. About "
        "ten minutes on two cores; stopped and started again, it goes on."
    )


def what_next(out: Path, config: DemoConfig) -> list[str]:
    """Return commands that go on from a finished demo, each below what it does, to be copied from a narrow terminal."""
    run, archive = out / "run", out / "archive"
    lines = {
        f"mammoloop compare {run}:stage1 {run}": "what the rounds changed, with intervals",
        f"mammoloop doctor --preset demo --archive {archive}": "are these data enough?",
        f"mammoloop sweep --run {run} --archive {archive} --space loss --out sweep": "other loss weights",
        f"mammoloop selftrain --archive {archive} --out {run} --rounds +1": "one round more",
    }
    if config.rounds.num_rounds:
        question = f"mammoloop review export --run {run} --round 1 --out review"
        lines = {question: "what a radiologist should look at"} | lines
    return [line for command, what in lines.items() for line in (f"  # {what}", *_continued(command))]


def _continued(command: str) -> list[str]:
    together = re.sub(r"(--\S+) ", "\\1\xa0", command)  # an option and its value stay on one line
    *first, last = textwrap.wrap(
        together,
        _COLUMNS,
        initial_indent="  ",
        subsequent_indent="    ",
        break_long_words=False,
        break_on_hyphens=False,
    )
    return [line.replace("\xa0", " ") for line in (*(f"{part} \\" for part in first), last)]


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
