"""Measure a run's systems on a split of its archive, as a whole and in parts. Needs no Ray: the maps are there."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from rich.console import Console

from pipelines.evaluate import by_other_rules
from pipelines.page.gather import headline_rows
from pipelines.selftrain import evaluate_on
from system.archive import Archive
from system.config import RunConfig, differences, resolve
from system.errors import NotFinished, UserError
from system.evaluation.read_back import by_group, patient_counts, read_back, read_report
from system.evaluation.thresholds import choose_thresholds
from system.figures.console import console
from system.figures.rows import NAN, HeadlineRow
from system.figures.tables import Cell, group_table, headline_table, image_table
from system.files.json_out import Ends, write_json
from system.metrics import FrocConfig
from system.metrics.classification import ImageMeasures, auroc, paired_difference_of
from system.metrics.subgroups import GroupRow
from system.records import Split
from system.run.folder import RunFolder
from system.run.results import FrocResult
from system.run.stage import Stage
from system.run.systems import System

SCORES = {"peak": "highest probability of the map", "p_image": "classification branch"}


@dataclass(frozen=True)
class Gain:
    """How much better a system separates images with a mass from those without than the first system does."""

    auroc: float  # second minus first; NaN for the first itself, and where one of both gives no score
    interval: Ends  # 95 %, over the same patients


@dataclass(frozen=True)
class SystemMeasures:
    """One system on one split."""

    headline: HeadlineRow
    groups: list[GroupRow]
    result: FrocResult
    gains: dict[str, Gain]  # by score: peak, p_image


@dataclass(frozen=True)
class RunMeasures:
    """A run's systems on one split, by title."""

    split: str
    systems: dict[str, SystemMeasures]


def run(
    folder: Path, *, split: str, settings: Sequence[str] = (), archive_uri: str = "", json_file: Path | None = None
) -> RunMeasures:
    """Print the rules and the tables and return all that they hold; also written to `json_file`.

    settings: rules to change for this evaluation, each `froc.key=value`; the run's own evaluation stays as it is

    Raises NotFinished where there is no run, or none of its systems is measured yet, UserError for a setting that is
    no rule.
    """
    here, wanted = RunFolder(folder.resolve()), Split(split)
    kept, archive = here.config(), here.measured_archive(uri=archive_uri)
    config = _with_rules(kept, settings)
    systems = here.systems()
    if not systems:
        raise NotFinished(
            f"{here.name} has no system that is trained and measured yet: go on with `mammoloop selftrain`"
        )
    stages: dict[str, Stage[FrocResult]] = {}
    for system in systems:
        if config.froc == kept.froc:
            evaluate_on(system, wanted, archive=archive, config=kept)
            stages[system.title] = system.froc(wanted)
        else:
            stages[system.title] = by_rules(system, wanted, archive=archive, kept=kept, rules=config.froc)
    counts = {title: patient_counts(stage, config=config.froc) for title, stage in stages.items()}
    first = stages[systems[0].title]
    measured = {
        row.title: SystemMeasures(
            headline=row,
            groups=by_group(stages[row.title], config=config.froc),
            result=stages[row.title].result(),
            gains=_gains(first, stages[row.title], config=config.froc),
        )
        for row in headline_rows(counts, config)
    }
    show(measured, rules=read_report(first).rules, screen=console(json_file=json_file))
    found = RunMeasures(split, measured)
    if json_file:
        write_json(json_file, found)
    return found


def _with_rules(kept: RunConfig, settings: Sequence[str]) -> RunConfig:
    """Return the run's settings with other rules. Raises UserError for a change of anything else."""
    asked = resolve(kept, settings=settings)
    if others := differences(kept, asked.changed(froc=kept.froc)):
        raise UserError(
            f"a finished run can be evaluated by other rules alone, froc.KEY=VALUE, found {'; '.join(others)}: "
            "leave these out, or start another run with them"
        )
    return asked


def by_rules(
    system: System, split: Split, *, archive: Archive, kept: RunConfig, rules: FrocConfig
) -> Stage[FrocResult]:
    """Return the finished evaluation of a system by other rules than its run's.

    A candidate threshold is taken as it is if it was changed; else it is the one chosen for the system on validation,
    now where its run chose none because its candidates needed none.
    """
    if rules.needs_threshold and rules.candidate_threshold == kept.froc.candidate_threshold:
        chosen = system.thresholds
        if not kept.froc.needs_threshold:
            chosen = system.thresholds_by(rules)
            wanted = kept.changed(froc=rules, choose_candidate_threshold=True)
            choose_thresholds(system.held_out, archive=archive, config=wanted, stage=chosen)
        rules = rules.changed(candidate_threshold=chosen.result().candidate_threshold)
    return by_other_rules(system, split, archive=archive, config=rules, refine=kept.infer.refine)


def show(measured: Mapping[str, SystemMeasures], *, rules: Sequence[str], screen: Console) -> None:
    """Print the rules, each system's sensitivities, those of the last one by parts, and the measures of images."""
    last = list(measured)[-1]
    for sentence in rules:
        screen.print(sentence)
    for table in (
        headline_table([system.headline for system in measured.values()]),
        group_table(f"{last}, by parts", measured[last].groups),
        image_table({title: _of_images(system) for title, system in measured.items()}),
    ):
        screen.print()
        screen.print(table)


def _gains(first: Stage[FrocResult], second: Stage[FrocResult], *, config: FrocConfig) -> dict[str, Gain]:
    """Return how much better the second separates images with a mass from those without, by score."""
    before, after = (read_back(stage).images.sort_by("image_id") for stage in (first, second))
    truth, patient = before["num_lesions"].to_numpy() > 0, np.asarray(before["patient_id"])
    gains: dict[str, Gain] = {}
    for name in SCORES:
        scores = before[name].to_numpy(), after[name].to_numpy()
        gains[name] = Gain(NAN, (NAN, NAN))
        if first != second and not any(np.isnan(score).any() for score in scores):  # without the branch: no score
            gain, interval = paired_difference_of(
                auroc, truth, *scores, patient=patient, num_resamples=config.bootstrap, seed=config.seed
            )
            gains[name] = Gain(gain, interval.pair())
    return gains


def _of_images(found: SystemMeasures) -> dict[str, Cell]:
    """Return the image-level measures, each under a name of its own."""
    cells: dict[str, Cell] = {"CorLoc": found.result.corloc, "Dice": found.result.dice}
    for name, title in SCORES.items():
        cells |= {f"{measure}, {title}": value for measure, value in _cells(found.result.image_level[name]).items()}
        cells |= {
            f"auroc gain, {title}": found.gains[name].auroc,
            f"auroc gain interval, {title}": found.gains[name].interval,
        }
    return cells


def _cells(found: ImageMeasures) -> dict[str, Cell]:
    at = found.at_even_odds
    return {
        "auroc": found.auroc,
        "auroc interval": found.auroc_interval,
        "partial auc ratio": found.partial_auc_ratio,
        **{f"specificity at {sensitivity}": value for sensitivity, value in found.specificity_at.items()},
        "accuracy": at.accuracy,
        "recall": at.recall,
        "f1": at.f1,
        "average f1": at.average_f1,
        "weighted f1": at.weighted_f1,
    }
