"""Measure a run's systems on a split of its archive, as a whole and in parts. Needs no Ray: the maps are there."""

from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from pipelines.console import console
from pipelines.evaluated import by_group, patient_counts, read_back
from pipelines.report import headline_rows
from pipelines.selftrain import SUPERVISED, config_of, evaluate_on, finished_systems, reopen
from system.figures import GroupRow, group_table, headline_table, image_table
from system.metrics import FrocConfig
from system.metrics.classification import auroc, paired_difference_of
from system.records import Split
from system.runs import Stage, as_json, write_atomically

SCORES = {"peak": "highest probability of the map", "p_image": "classification branch"}


def run(folder: Path, *, split: str, archive_uri: str = "", json_file: Path | None = None) -> dict[str, Any]:
    """Print the tables and return, per system, all that they hold; also written to `json_file`.

    Raises FileNotFoundError where there is no run, or none of its systems is measured yet.
    """
    folder, wanted = folder.resolve(), Split(split)
    config = config_of(folder)
    here = reopen(folder, config, archive_uri=archive_uri)
    systems = finished_systems(here)
    if not systems:
        raise FileNotFoundError(f"{folder.name} has no system that is trained and measured yet: go on with `mammoloop selftrain`")
    stages = {system.title: evaluate_on(here, system, wanted) for system in systems}
    headline = list(headline_rows({title: patient_counts(stage, config=config.froc) for title, stage in stages.items()}, config))
    groups = {title: _groups(stage, config=config.froc) for title, stage in stages.items()}
    metrics = {title: stage.manifest().metrics for title, stage in stages.items()}  # pyright: ignore[reportOptionalMemberAccess]
    screen = console()
    screen.print(headline_table(headline))
    last = systems[-1].title
    screen.print(group_table(f"{last}, by parts", groups[last]))
    gains = {title: _gains(stages[SUPERVISED], stage, config=config.froc) for title, stage in stages.items()}
    screen.print(image_table({title: _of_images(found) | gains[title] for title, found in metrics.items()}))
    rows = {row.title: asdict(row) for row in headline}
    parts = {
        title: {"groups": [asdict(row) for row in groups[title]], "metrics": metrics[title], "gains": gains[title]} for title in stages
    }
    result = {title: rows[title] | parts[title] for title in stages}
    if json_file:
        write_atomically(json_file, as_json({"split": split, "systems": result}))
    return result


def _groups(stage: Stage, *, config: FrocConfig) -> list[GroupRow]:
    return [
        GroupRow(row.kind, row.name, row.num_images, row.num_lesions, row.sensitivity, row.mean, row.interval.pair())
        for row in by_group(stage, config=config)
    ]


def _gains(first: Stage, second: Stage, *, config: FrocConfig) -> dict[str, Any]:
    """Return how much better the second tells images with a mass from those without, with the interval over the same patients."""
    before, after = (read_back(stage).images.sort_by("image_id") for stage in (first, second))
    truth, patient = before["num_lesions"].to_numpy() > 0, np.asarray(before["patient_id"])
    gains: dict[str, Any] = {}
    for name, title in SCORES.items():
        scores = before[name].to_numpy(), after[name].to_numpy()
        gain, ends = float("nan"), (float("nan"), float("nan"))
        if first != second and not any(np.isnan(score).any() for score in scores):  # a system without the branch has no score
            drawn = {"patient": patient, "num_resamples": config.bootstrap, "seed": config.seed}
            gain, interval = paired_difference_of(auroc, truth, *scores, **drawn)
            ends = interval.pair()
        gains |= {f"auroc gain, {title}": gain, f"auroc gain interval, {title}": list(ends)}
    return gains


def _of_images(found: dict[str, Any]) -> dict[str, Any]:
    """Return the image-level measures under names of their own."""
    whole = {"CorLoc": found["corloc"], "Dice": found["dice"]}
    return whole | {
        f"{measure.replace('_', ' ')}, {title}": value
        for name, title in SCORES.items()
        for measure, value in found["image_level"][name].items()
    }
