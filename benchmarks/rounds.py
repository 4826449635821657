"""What the rounds bring on fresh synthetic archives, against the supervised model and against the control.

    python benchmarks/rounds.py --seeds 21 22 23 --shares 0.25 1 --out out/rounds

Each seed is an archive of its own (`demo.seed`), each share a run of the loop on it with that part of the outlines
(`strong_share`). A killed benchmark goes on where it was. It prints each system's mean sensitivity on test, by the
run's rules (own-peak candidates) and with a chosen candidate threshold, the gains with 95 % intervals by patient, and
the pools with their purity.
"""

import argparse
import logging
import time
from collections.abc import Mapping
from pathlib import Path

from pipelines import selftrain
from pipelines.cluster import session
from pipelines.experiments.demo import make_archive
from pipelines.tools.evaluate_run import by_rules
from system.config import DemoConfig, resolve
from system.evaluation.read_back import patient_counts
from system.figures.console import console
from system.figures.table import Table
from system.metrics import FrocConfig, PatientCounts, compare_systems
from system.presets import demo
from system.records import Split
from system.run.folder import RunFolder
from system.run.systems import SUPERVISED, System


def main() -> None:
    """Run what is missing, and print the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, nargs="+", default=[21, 22, 23])
    parser.add_argument("--shares", type=float, nargs="+", default=[0.25, 1.0])
    parser.add_argument("--out", type=Path, default=Path("out/rounds"))
    parser.add_argument("--set", dest="changes", action="append", default=[], help="key=value, as for mammoloop")
    args = parser.parse_args()
    for name in ("pipelines", "system"):
        logging.getLogger(name).setLevel(logging.INFO)
    logging.basicConfig(format="%(asctime)s %(message)s", datefmt="%H:%M:%S")
    with session(demo().resources.cluster):
        for seed in args.seeds:
            for share in args.shares:
                one_run(args.out.resolve() / f"seed_{seed}", seed=seed, share=share, changes=args.changes)


def one_run(out: Path, *, seed: int, share: float, changes: list[str]) -> None:
    """Run the loop once and print what it brought. changes: settings of the run, beside seed and share."""
    base = resolve(demo(), settings=[f"demo.seed={seed}"])
    config = resolve(base, settings=[f"strong_share={share}", *changes])
    archive = make_archive(out, config=base, quiet=True)
    labels, run = RunFolder(out / "labels"), RunFolder(out / "-".join([f"share_{share:g}", *changes]))
    began = time.monotonic()
    selftrain.prepare(archive, labels, config=config)
    run.labels.adopt(labels.labels)
    run.archive_pin.adopt(labels.archive_pin)
    fresh = not run.chosen.finished
    selftrain.run(archive, run.path, config=config)
    minutes = f", {(time.monotonic() - began) / 60:.1f} minutes" if fresh else ""
    show(run, config, title=f"seed {seed}, {share:.0%} of the outlines {' '.join(changes)}{minutes}")


def show(run: RunFolder, config: DemoConfig, *, title: str) -> None:
    """Print the systems and the pools of a finished run."""
    own, chosen = config.froc, config.froc.changed(candidates="threshold")
    counts = {system.title: counts_of(system, run, config, own)[0] for system in run.systems()}
    by_threshold = {system.title: counts_of(system, run, config, chosen)[1] for system in run.systems()}
    control = f"control {len(run.rounds())}"
    table = Table(title)
    for heading in ("system", "test", "95 %", "by threshold", "validation", "vs supervised", f"vs {control}"):
        table.add_column(heading)
    against = [compare_systems(counts, baseline=name, config=own) for name in (SUPERVISED, control)]
    for system, first, second in zip(run.systems(), *against, strict=True):
        low, high = first.interval.pair()
        gains = [
            f"{row.difference:+.3f} ({row.difference_interval.low:+.3f} to {row.difference_interval.high:+.3f})"
            for row in (first, second)
        ]
        validation = system.validated.result().sweep.mean
        table.add_row(
            system.title,
            f"{first.mean:.3f}",
            f"{low:.2f} to {high:.2f}",
            f"{by_threshold[system.title]:.3f}",
            f"{validation:.3f}",
            *gains,
        )
    table.note = "\n".join(pools_in_words(run))
    console().print(table)


def counts_of(system: System, run: RunFolder, config: DemoConfig, rules: FrocConfig) -> tuple[PatientCounts, float]:
    """Return what a system finds in each test patient by some rules, and its mean sensitivity."""
    stage = system.froc()
    if rules != config.froc:
        stage = by_rules(system, Split.TEST, archive=run.archive(), kept=config, rules=rules)
    return patient_counts(stage, config=rules), stage.result().sweep.mean


def pools_in_words(run: RunFolder) -> list[str]:
    """Return the last pool of each round with its purity, the decision after it, and the result."""
    lines: list[str] = []
    for this in run.rounds():
        pool, found = this.pools.result().pools[-1], this.promotion.result()
        pure: Mapping[str, float] = {part.quadrant: part.share for part in pool.purity}
        right = ", ".join(f"{name} {share:.0%}" for name, share in pure.items())
        lines.append(f"{this.title}, p0 {pool.p0:.2f}: {pool.counts.line()}; right: {right}")
        lines.append(f"{this.title}: {found.gain.line()}; {'promoted' if found.promoted else 'not promoted'}")
    return [*lines, f"result: {run.chosen.result().title}"]


if __name__ == "__main__":
    main()
