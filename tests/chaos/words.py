"""The commands that are struck, on a tiny synthetic archive, and what the user does between them."""

import csv
import os
import re
import subprocess
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from system.phantom import PhantomConfig, write_phantom

SETTINGS = """
ingest:
  imaging: {height_px: 64, width_px: 64}
  fixed_key: chaos
  files_per_task: 4
  files_per_commit: 8
  split: {strong: 0.4, weak: 0.3, validation: 0.1, test: 0.2}
reports: {epochs: 1, small: {hidden_size: 16, num_layers: 1}}
strong_share: 1.0
stage1: {num_epochs: 3, steps_per_epoch: 2, batch_size: 6, precision: fp32}
net: {prior: 0.3}
rounds:
  num_rounds: 1
  control: false
  p0: {start: 0.55, every_epochs: 1, step: 0.05}
  train: {num_epochs: 3, steps_per_epoch: 2, batch_size: 6, precision: fp32}
froc: {bootstrap: 20, min_lesion_px: 4, min_candidate_px: 4}
infer: {batch_pairs: 4, precision: fp32, refine: {min_candidate_px: 4, mask_threshold: 0.25}}
resources:
  train: {checkpoint_steps: 1, stall_s: 60}
  infer: {decode_cpus: 2.0, shard_bytes: 1, stall_s: 60}
"""
"""A run of the whole loop in a minute, which learns nothing; many commits, checkpoints and shards to be struck in."""

SOURCE, ARRIVALS = "source", "arrivals"  # folders of exams
NUM_EXAMS, SEED = 36, 3
PHANTOM = PhantomConfig(height_px=96, width_px=96, contrast_low=0.6, contrast_high=0.9, diameter_mm_low=20)
BROKEN = "source/dicom/000000/000000_L_CC.dcm"
WHOLE = "whole.dcm"  # the same file before it was cut
NUM_ARRIVING = 8  # exams that come after the run's end
ONCE_CORRECTED, TWICE_CORRECTED = slice(0, 8), slice(4, 12)  # studies whose reports are corrected
JUDGED_AT_S = 1_700_000_000  # the verdicts bear the time of their sheet
QUEUE = "review/queue.csv"
PREPARE_LIMIT_S = 600
PLAN = """
triggers: {new_samples: 1, min_days_between: 0}
gate: {margin: 1, subgroups: {density: null, view: null, source: null, lesion_size: null}}
intake: {settle_s: 0}
alarms: {no_side_share: 1, unknown_language_share: 1, quarantine_share: 1}
"""
"""A plan by which a few new images start a retraining, whose model is promoted."""
LEAST_CHARACTERS = 8  # of a private text: shorter ones are words that anybody writes

Environment = Mapping[str, str]


def write_source(place: Path) -> None:
    """Write exams, one file of them cut in half, and the settings."""
    write_phantom(place / "source", num_exams=NUM_EXAMS, seed=SEED, config=PHANTOM)
    (place / "settings.yaml").write_text(SETTINGS, encoding="utf8")
    data = (place / BROKEN).read_bytes()
    (place / WHOLE).write_bytes(data)
    (place / BROKEN).write_bytes(data[: len(data) // 2])


def leave(place: Path, environment: Environment) -> None:
    """Do nothing between two commands."""


def repair(place: Path, environment: Environment) -> None:
    """Bring the cut file back whole."""
    (place / BROKEN).write_bytes((place / WHOLE).read_bytes())


def correct(place: Path, environment: Environment) -> None:
    """Write a table of corrected reports, every fourth of them withdrawn, beside the source's."""
    rows = _reports(place)[ONCE_CORRECTED]
    _write_reports(
        place / "corrected.csv", [_next_version(row, withdrawn=not number % 4) for number, row in enumerate(rows)]
    )


def correct_in_source(place: Path, environment: Environment) -> None:
    """Add corrected reports to the source's own table."""
    rows = _reports(place)
    corrected = [_next_version(row, withdrawn=not number % 4) for number, row in enumerate(rows[TWICE_CORRECTED])]
    _write_reports(place / "source/reports.csv", [*rows, *corrected])


def judge(place: Path, environment: Environment) -> None:
    """Export the queue of round 1 and judge each image of it by its place."""
    words = ["review", "export", "--run", "run", "--round", "1", "--out", "review", "--size", "12"]
    subprocess.run(
        [sys.executable, "-m", "pipelines", *words],
        cwd=place,
        env=dict(environment),
        check=True,
        capture_output=True,
        timeout=PREPARE_LIMIT_S,
    )
    path = place / QUEUE
    with path.open(encoding="utf8", newline="") as file:
        lines = list(csv.DictReader(file))
    for number, line in enumerate(lines):
        line["verdict"] = ("mass", "no mass", "unsure")[number % 3]
        if line["verdict"] == "mass":
            line.update({"x0": "10", "y0": "12", "x1": "30", "y1": "28"})
    with path.open("w", encoding="utf8", newline="") as file:
        writer = csv.DictWriter(file, lines[0].keys())
        writer.writeheader()
        writer.writerows(lines)
    os.utime(path, (JUDGED_AT_S, JUDGED_AT_S))


def arrive(place: Path, environment: Environment) -> None:
    """Let exams come, with corrected and withdrawn reports of earlier ones beside theirs, and write a plan."""
    write_phantom(place / ARRIVALS, num_exams=NUM_ARRIVING, seed=SEED, config=PHANTOM, first_exam=NUM_EXAMS)
    earlier = [_next_version(row, withdrawn=not number % 4) for number, row in enumerate(_reports(place)[:8])]
    _write_reports(place / ARRIVALS / "reports.csv", [*_reports(place, ARRIVALS), *earlier])
    (place / "plan.yaml").write_text(PLAN, encoding="utf8")


def private_texts(place: Path) -> set[str]:
    """Return what no command may write to the terminal: ids of patients and studies, sentences of reports."""
    sources = [name for name in (SOURCE, ARRIVALS) if (place / name).exists()]
    return set[str]().union(*(_private_texts(place, source) for source in sources))


def _private_texts(place: Path, source: str) -> set[str]:
    with (place / source / "truth.csv").open(encoding="utf8", newline="") as file:
        ids = {row[name] for row in csv.DictReader(file) for name in ("patient", "study")}
    texts = {row[name] for row in _reports(place, source) for name in ("description", "impression")}
    return ids | {
        part for text in texts for part in re.split(r"(?<=[.。；])\s*", text) if len(part) >= LEAST_CHARACTERS
    }


def _reports(place: Path, source: str = SOURCE) -> list[dict[str, str]]:
    with (place / source / "reports.csv").open(encoding="utf8", newline="") as file:
        return list(csv.DictReader(file))


def _next_version(row: dict[str, str], *, withdrawn: bool) -> dict[str, str]:
    status = "withdrawn" if withdrawn else "corrected"
    return row | {
        "version": str(int(row["version"]) + 1),
        "status": status,
        "impression": row["impression"] + " No mass.",
    }


def _write_reports(path: Path, rows: list[dict[str, str]]) -> None:
    with path.open("w", encoding="utf8", newline="") as file:
        writer = csv.DictWriter(file, rows[0].keys())
        writer.writeheader()
        writer.writerows(rows)


@dataclass(frozen=True)
class Step:
    """A command, and what it begins with."""

    words: str  # after `mammoloop`; {archive} stands for the archive's place
    after: str = ""  # the step at whose end it begins; "" = there is the source alone
    without: str = ""  # of what is there then, this stage of the run and all later ones are taken away
    prepare: Callable[[Path, Environment], None] = leave
    starts: int = 1  # that end with 0 until nothing is left to do


_DEMO = "--preset demo --config settings.yaml"
_INGEST = f"--source source --layout phantom --archive {{archive}} {_DEMO}"
_RUN = f"--archive {{archive}} --out run {_DEMO}"
STEPS: dict[str, Step] = {
    "ingest": Step(f"ingest {_INGEST}"),
    "retry": Step(f"quarantine retry --code truncated {_INGEST}", after="ingest", prepare=repair),
    "label": Step(f"label {_RUN}", after="ingest"),
    "selftrain": Step(f"selftrain {_RUN}", after="label"),
    "infer": Step("infer --run run --round 1", after="selftrain", without="round_01/predictions"),
    "review": Step("review import --file review/queue.csv --archive {archive} --reader R1", "selftrain", prepare=judge),
    "reports": Step("reports --file corrected.csv --archive {archive}", after="label", prepare=correct),
    "ingest-again": Step(f"ingest {_INGEST}", after="label", prepare=correct_in_source),
    "relabel": Step(f"label --only-new {_RUN}", after="reports"),
    "watch": Step(
        f"watch --once --plan plan.yaml --source {ARRIVALS} --layout phantom --archive {{archive}} --run run",
        after="selftrain",
        prepare=arrive,
        starts=2,  # the first look ends with a new model, the second catches up with it
    ),
}


def words_of(step: str, *, archive: str, miner: str) -> list[str]:
    """Return the words of a step after `mammoloop`. miner: where the miner's journal lies; "" = in the run's folder."""
    words = STEPS[step].words.format(archive=archive).split()
    return [*words, "--set", f"rounds.miner={miner}"] if step == "selftrain" and miner else words


def finished_in_order(run: Path) -> list[str]:
    """Return the stages of a run by the time at which they were finished."""
    manifests = sorted(run.rglob("manifest.json"), key=lambda path: path.stat().st_mtime_ns)
    return [str(path.parent.relative_to(run)) for path in manifests]
