"""What each part of the rounds is worth: the configured run, and the same with one part changed at a time.

All rows that change the rounds alone start from one Stage 1; the control is that of the configured run. Every round's
model is followed (rounds.promote=always), so that rows can be compared.
"""

import logging
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import ray

from pipelines import selftrain
from pipelines.cluster import side_by_side
from pipelines.experiments.reproduce import Cell, claimed, counts_of, train_cells
from system.config import RunConfig, resolve
from system.errors import UserError
from system.figures.console import console
from system.figures.rows import AblationRow
from system.figures.tables import ablation_table
from system.files.atomic import write_text
from system.files.json_out import as_json
from system.metrics import PatientCounts, gain_over_seeds, over_seeds
from system.place import PLACE
from system.run.folder import RunFolder

log = logging.getLogger(__name__)

CONFIGURED = "as configured"


@dataclass(frozen=True)
class Ablation:
    """One change of the configured run."""

    name: str  # of its folder
    title: str
    settings: tuple[str, ...]  # key=value
    new_stage1: bool = False  # it changes Stage 1 too, and with it the control


def ablations(config: RunConfig) -> Iterator[Ablation]:
    """Give the changes that change anything in this configuration, the configured run first."""
    third = max(1, config.stage1.num_epochs // 3)
    branch = f"rounds.train.class_factor={config.rounds.train.class_factor or 1:g}"
    every = (
        Ablation("configured", CONFIGURED, ()),
        Ablation(
            "together",
            "strong and mined images drawn together",
            ("rounds.strong_in_batch.positives=null", "rounds.strong_in_batch.negatives=null"),
        ),
        Ablation(
            "half_strong",
            "half of each batch strong",
            ("rounds.strong_in_batch.positives=0.5", "rounds.strong_in_batch.negatives=0.5"),
        ),
        Ablation("disputed_train", "disputed FP train", ("rounds.disputed=train",)),
        Ablation("disputed_review", "disputed FP left out", ("rounds.disputed=review",)),
        Ablation("no_empty_masks", "FP train no empty masks", ("loss.empty_masks=false",)),
        Ablation("empty_masks", "FP train empty masks", ("loss.empty_masks=true",)),
        Ablation("soft_masks", "soft masks", ("loss.mask_labels=soft",)),
        Ablation("hard_masks", "hard masks", ("loss.mask_labels=hard",)),
        Ablation("no_fn", "FN left out", ("rounds.fn_in_batch=0",)),
        Ablation("fn_with_tp", "FN drawn with TP", ("rounds.fn_in_batch=null",)),
        Ablation("no_class", "no image-level branch", ("rounds.train.class_factor=0",)),
        Ablation("class_moves", "image-level branch moves the trunk", (branch, "loss.class_gradient=1")),
        Ablation("class_beside", "image-level branch learns beside the trunk", (branch, "loss.class_gradient=0")),
        Ablation("even_reports", "reports weigh alike", ("loss.report_weights=false",)),
        Ablation("perfect_reports", "perfect reports", ("rounds.perfect_reports=true",)),
        Ablation(
            "short_stage1",
            f"Stage 1 of {third} epochs",
            (f"stage1.num_epochs={third}", "stage1.patience_epochs=0"),
            new_stage1=True,
        ),
    )
    for ablation in every:
        if not ablation.settings or resolve(config, settings=ablation.settings) != config:
            yield ablation


def run(archive_uri: str, out: Path, *, config: RunConfig, num_seeds: int = 1) -> None:
    """Train what is missing, print the table, and write ablations.json. Needs a running Ray.

    Raises UserError when the folder holds ablations of other settings or the config has no round, CellsFailed when
    cells failed: the others are kept, and the same arguments try those again.
    """
    if not config.rounds.num_rounds:
        raise UserError("rounds.num_rounds=0 leaves no round to take parts away from: set at least 1")
    out, archive_uri, config = claimed(archive_uri, out, config=config, what="set of ablations")
    selftrain.prepare(archive_uri, RunFolder(out), config=config)
    followed = resolve(config, settings=["rounds.promote=always", "rounds.patience=0"])
    seeds = [config.seed + number for number in range(num_seeds)]
    chosen = list(ablations(followed))
    grid = {each: [cell_of(each, out, config=followed, seed=seed) for seed in seeds] for each in chosen}
    bases = {cell.base.folder: cell.base for cells in grid.values() for cell in cells if cell.base}
    at_once = side_by_side(config, resources=ray.cluster_resources())
    log.info("%d ablations of %d seeds, %d trainings of Stage 1, %d at once", len(grid), num_seeds, len(bases), at_once)
    with PLACE.at("in the ablations"):
        for wave in (list(bases.values()), [cell for cells in grid.values() for cell in cells]):
            train_cells(wave, archive_uri, out, at_once=at_once)
    rows = list(_rows(grid, config=followed))
    caption = (
        f"Test set. Mean sensitivity over seeds {', '.join(map(str, seeds))}; gain of the last round over the control, "
        "which trains as many more steps without weak data; 95 % intervals resample patients, paired."
    )
    console().print(ablation_table(rows, caption=caption))
    write_text(out / "ablations.json", as_json({"caption": caption, "rows": rows}))


def cell_of(ablation: Ablation, out: Path, *, config: RunConfig, seed: int) -> Cell:
    """Return the training that an ablation needs, and the one whose Stage 1 it takes over."""
    here = resolve(config, settings=[*ablation.settings, f"seed={seed}"])
    first = here if ablation.new_stage1 else resolve(config, settings=[f"seed={seed}"])
    base_name = f"stage1_{ablation.name}" if ablation.new_stage1 else "stage1"
    base = Cell(out / "cells" / f"{base_name}-seed_{seed}", resolve(first, settings=["rounds.num_rounds=0"]))
    with_control = not ablation.settings or ablation.new_stage1
    own = [] if with_control else ["rounds.control=false"]
    name = f"{ablation.name}-seed_{seed}"
    if here.rounds.miner:  # one address a run
        own.append(f"rounds.miner={here.rounds.miner}/{name}")
    return Cell(out / "cells" / name, resolve(here, settings=own), base)


def _rows(grid: Mapping[Ablation, Sequence[Cell]], *, config: RunConfig) -> Iterator[AblationRow]:
    configured = next(cells for ablation, cells in grid.items() if not ablation.settings)
    for ablation, cells in grid.items():
        if idle := [cell.run.name for cell in cells if not cell.run.trained_rounds()]:
            raise UserError(
                f"{', '.join(idle)}: no round was trained, so there is nothing to compare; its pools were empty: lower "
                "rounds.p0, or annotate more"
            )
        beside = cells if ablation.new_stage1 else configured
        control = [counts_of(cell.run.control(len(cell.run.trained_rounds())), cell).sweep for cell in beside]
        stage1 = [counts_of(cell.run.stage1, cell).sweep for cell in cells]
        rounds = [
            [counts_of(cell.run.round(number), cell).sweep for cell in cells]
            for number in range(1, min(len(cell.run.trained_rounds()) for cell in cells) + 1)
        ]
        gain, interval = gain_over_seeds(control, rounds[-1], config=config.froc)
        yield AblationRow(
            title=ablation.title,
            stage1=_mean(stage1, config),
            control=_mean(control, config),
            rounds=tuple(_mean(each, config) for each in rounds),
            gain=gain,
            gain_interval=interval.pair(),
            each=over_seeds(rounds[-1], config=config.froc).each,
        )


def _mean(seeds: Sequence[PatientCounts], config: RunConfig) -> float:
    return over_seeds(seeds, config=config.froc).mean
