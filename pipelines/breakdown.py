"""Measure a run's systems on a split of its archive, as a whole and in parts. Needs no Ray: the maps are there."""

from dataclasses import asdict
from pathlib import Path
from typing import Any

from pipelines.console import console
from pipelines.evaluated import by_group, patient_counts
from pipelines.report import headline_rows
from pipelines.selftrain import config_of, evaluate_on, finished_systems, reopen
from system.figures import GroupRow, group_table, headline_table, image_table
from system.records import Split
from system.runs import as_json, write_atomically


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
    screen.print(image_table({title: _of_images(found) for title, found in metrics.items()}))
    rows = {row.title: asdict(row) for row in headline}
    result = {title: rows[title] | {"groups": [asdict(row) for row in groups[title]], "metrics": metrics[title]} for title in stages}
    if json_file:
        write_atomically(json_file, as_json({"split": split, "systems": result}))
    return result


def _groups(stage: Any, *, config: Any) -> list[GroupRow]:
    return [
        GroupRow(row.kind, row.name, row.num_images, row.num_lesions, row.sensitivity, row.mean, row.interval.pair())
        for row in by_group(stage, config=config)
    ]


def _of_images(found: dict[str, Any]) -> dict[str, Any]:
    """Return the image-level measures under names of their own."""
    whole = {"CorLoc": found["corloc"], "Dice": found["dice"]}
    names = {"peak": "highest probability of the map", "p_image": "classification branch"}
    return whole | {
        f"{measure.replace('_', ' ')}, {title}": value
        for name, title in names.items()
        for measure, value in found["image_level"][name].items()
    }
