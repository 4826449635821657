"""How much the preset `films` finds on real films: mini-MIAS, two folds by woman, so that every woman is tested.

    python benchmarks/films.py --source mini-mias --weights efficientnet_lite0.safetensors --out films --seeds 2

Runs the product's own commands, so a killed benchmark goes on where it was. It prints, over all women together and the
mean of the seeds: mean sensitivity of the supervised model, the controls and the rounds, by IoU above .2 and by the
candidate's centre inside the circle, with 95 % intervals by woman; and chance: the same maps, each judged by the
circles of another woman's film.
"""

import argparse
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from system.evaluation.maps_of_run import held_out_images
from system.figures.console import console
from system.figures.table import Table
from system.maps import Components, components
from system.metrics import FrocConfig, PatientCounts, gain_over_seeds, match, over_seeds
from system.metrics.bootstrap import count_by_patient
from system.metrics.matching import gather, overlaps
from system.own_peak import own_peak_components
from system.records import Split
from system.run.folder import RunFolder

FPPI = (0.1, 0.2, 0.5, 1.0, 2.0, 4.0)
NUM_MEAN = 4  # of them the mean is taken
NUM_FILMS = 2  # of a woman
FOLDS = (0.0, 0.5)

Hit = Callable[[Components, Components], NDArray[np.float64]]
"""Candidates and lesions of a film -> [N, M], a hit above .2."""


@dataclass(frozen=True)
class Film:
    """One film of the test women: what a system marks, and what is there."""

    woman: str
    candidates: Components
    scores: NDArray[np.float32]
    lesions: Components


def main() -> None:
    """Run what is missing, and print the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--source", type=Path, required=True, help="folder of mini-MIAS")
    parser.add_argument("--weights", type=Path, required=True, help="of `mammoloop weights convert`")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--seeds", type=int, default=2)
    parser.add_argument("--set", dest="changes", action="append", default=[], help="key=value, as for mammoloop")
    args = parser.parse_args()
    args.out.mkdir(parents=True, exist_ok=True)
    runs = [
        [run_of(args, fold=fold, seed=seed) for fold in range(len(FOLDS))] for seed in range(args.seeds)
    ]  # seed, fold
    show("IoU above .2", runs, hit=overlaps)
    show("centre of the candidate inside the circle", runs, hit=centres)
    show("chance: IoU above .2 with another woman's circles", runs, hit=overlaps, shuffled=True)


def run_of(args: argparse.Namespace, *, fold: int, seed: int) -> RunFolder:
    """Ingest the fold and train on it, where that is not done yet."""
    archive, run = args.out / f"archive_{fold}", args.out / f"run_{fold}_{seed}"
    settings = [f"ingest.split.rotate={FOLDS[fold]}", "ingest.fixed_key=films", f"net.weights={args.weights.resolve()}"]
    settings += [f"seed={seed}", *args.changes]
    changes = [part for setting in settings for part in ("--set", setting)]
    common = ["--preset", "films", *changes, "--archive", str(archive)]
    if not archive.exists():
        mammoloop("ingest", "--source", str(args.source), "--layout", "mini-mias", *common)
    if not RunFolder(run).chosen.finished:
        began = time.monotonic()
        mammoloop("selftrain", "--out", str(run), *common)
        print(f"fold {fold}, seed {seed}: {(time.monotonic() - began) / 60:.1f} minutes", flush=True)
    return RunFolder(run)


def mammoloop(*words: str) -> None:
    """Run one of the product's commands."""
    subprocess.run([sys.executable, "-m", "pipelines", *words], check=True)


def show(title: str, runs: Sequence[Sequence[RunFolder]], *, hit: Hit, shuffled: bool = False) -> None:
    """Print one table: a row for each system that all runs have."""
    config = FrocConfig(fppi=FPPI[:NUM_MEAN], min_lesion_px=8, min_candidate_px=8, candidates="own_peak")
    names = [system.name for system in runs[0][0].systems()]
    names = [name for name in names if all(name in {s.name for s in run.systems()} for seed in runs for run in seed)]
    table = Table(title)
    for heading in ("system", *(f"{x:g} FPPI" for x in FPPI), "mean of four", "95 %", "vs supervised", "95 %", "seeds"):
        table.add_column(heading)
    first: list[PatientCounts] = []
    for name in names:
        films = [list(unique(films_of(seed, name))) for seed in runs]
        counts = [counts_of(each, config, hit=hit, shuffled=shuffled) for each in films]
        wide = over_seeds(
            [counts_of(each, config.changed(fppi=FPPI), hit=hit, shuffled=shuffled) for each in films],
            config=config.changed(fppi=FPPI),
        )
        found = over_seeds(counts, config=config)
        first = first or counts
        gain, interval = gain_over_seeds(first, counts, config=config)
        table.add_row(
            name,
            *(f"{value:.2f}" for value in wide.sensitivity.values()),
            f"{found.mean:.3f}",
            f"{found.interval.low:.2f} to {found.interval.high:.2f}",
            f"{gain:+.3f}",
            f"{interval.low:+.3f} to {interval.high:+.3f}",
            " ".join(f"{value:.3f}" for value in found.each),
        )
    women = len(first[0].patients)
    table.note = f"{women} women, {int(first[0].images.sum())} films, {int(first[0].lesions.sum())} masses"
    console().print(table)


def films_of(folds: Sequence[RunFolder], name: str) -> Iterator[Film]:
    """Give the test films of all folds as one system marks them."""
    for run in folds:
        archive = run.archive()
        (system,) = (system for system in run.systems() if system.name == name)
        for image in held_out_images(system.held_out, archive=archive, split=Split.TEST):
            found, scores = own_peak_components(image.probability, min_px=8)
            yield Film(image.patient_id, found, scores, components(image.truth, min_px=8))


def unique(films: Iterator[Film]) -> Iterator[Film]:
    """Give each woman's films of the first fold that tests her."""
    seen: Counter[str] = Counter()
    for film in films:
        seen[film.woman] += 1
        if seen[film.woman] <= NUM_FILMS:
            yield film


def counts_of(films: Sequence[Film], config: FrocConfig, *, hit: Hit, shuffled: bool) -> PatientCounts:
    """Return what is found in each woman."""
    lesions = [film.lesions for film in films]
    if shuffled:  # by half the films, so that no woman is judged by her own
        lesions = [*lesions[len(lesions) // 2 :], *lesions[: len(lesions) // 2]]
    images = [(film.scores, hit(film.candidates, other)) for film, other in zip(films, lesions, strict=True)]
    detections = gather(images)
    matched = match(detections, iou=config.iou)
    return count_by_patient(detections, matched, image_patient=[film.woman for film in films], config=config)


def centres(candidates: Components, lesions: Components) -> NDArray[np.float64]:
    """Return 1 where a candidate's centre of mass lies in a lesion, else 0: [N, M]."""
    inside = np.zeros((len(candidates.area_px), len(lesions.area_px)))
    for number in range(len(candidates.area_px)):
        rows, cols = np.nonzero(candidates.labels == number + 1)
        lesion = lesions.labels[round(float(rows.mean())), round(float(cols.mean()))]
        if lesion:
            inside[number, lesion - 1] = 1.0
    return inside


if __name__ == "__main__":
    main()
