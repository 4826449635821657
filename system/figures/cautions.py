"""What a reader of a run's page should be warned of, from the rows of its tables; each points to a part of the page."""

import math
from collections.abc import Iterator, Mapping, Sequence

from system.figures import format as text
from system.figures.rows import Caution, PoolRow, PurityRow, SplitRow
from system.records import Split, p0_text
from system.reports.measures import SideMeasures, compare_sources
from system.reports.rule_rates import LabelSource

FEW_LESIONS = 20
IMPURE = 0.75  # a pool of which less is right, where the truth is known
MIN_KNOWN = 10  # images; a share of fewer is not warned of


def label_cautions(sides: Mapping[str, SideMeasures], *, labels: LabelSource) -> Iterator[Caution]:
    """Warn where another source of labels fits the annotated breasts better, and where calibration did harm.

    sides: left, right
    labels: what the loop gets
    """
    found = compare_sources(sides, labels=labels)
    if found.best != labels:
        scores = f"Brier score {found.brier[found.best]:.4f} against {found.brier[labels]:.4f}"
        yield Caution(
            f"The loop learns from the labels of reports.labels={labels}, but reports.labels={found.best} would fit "
            f"the annotated breasts better ({scores}).",
            "labels",
        )
    beaten = [
        f"{side} F1 {text.share(each.rules.average_f1)} against {text.share(each.models.average_f1)}"
        for side, each in sides.items()
        if labels != "rules" and round(each.rules.average_f1, 3) > round(each.models.average_f1, 3)
    ]
    if beaten:
        yield Caution(f"Keyword rules read the reports better than the report models: {'; '.join(beaten)}.", "labels")
    worse = [
        f"{side} ECE {text.share(each.uncalibrated.ece)} before, {text.share(each.models.ece)} after"
        for side, each in sides.items()
        if labels != "rules" and round(each.models.ece, 3) > round(each.uncalibrated.ece, 3)
    ]
    if worse:
        yield Caution(f"Calibration made the models' probabilities worse: {'; '.join(worse)}.", "labels")


def pool_cautions(pools: Sequence[PoolRow]) -> Iterator[Caution]:
    """Warn of rounds that learned from no image, or of no map, with a report only."""
    for number in dict.fromkeys(row.round for row in pools):
        of_round = [row for row in pools if row.round == number]
        if not any(row.tp + row.fp + row.fn for row in of_round):
            yield Caution(
                f"Round {number} learned from no image with a report only: every pool is empty, so it is more "
                "training on the same annotated images.",
                "pools",
            )
        elif without := [p0_text(row.p0) for row in of_round if not row.tp]:
            yield Caution(
                f"Round {number} had no image in TP at p0 {', '.join(without)}: no map was learned from there.", "pools"
            )


def purity_cautions(purity: Sequence[PurityRow]) -> Iterator[Caution]:
    """Warn of impure pools, of each quadrant the worst."""
    impure = [row for row in purity if row.num_images >= MIN_KNOWN and row.right < IMPURE]
    for quadrant in dict.fromkeys(row.quadrant for row in impure):
        of_quadrant = [row for row in impure if row.quadrant == quadrant]
        worst = min(of_quadrant, key=lambda row: row.right)
        more = f", and {len(of_quadrant) - 1} more of {quadrant}" if len(of_quadrant) > 1 else ""
        yield Caution(
            f"A pool is impure: of {quadrant} in round {worst.round} at p0 {p0_text(worst.p0)} only "
            f"{text.share(worst.right)} is right (of {text.number(worst.num_images)} images whose truth is "
            f"known){more}.",
            "pools",
        )


def data_cautions(splits: Sequence[SplitRow]) -> Iterator[Caution]:
    """Warn of splits with so few lesions that one more or less moves the numbers."""
    for row in splits:
        if row.split not in (Split.VALIDATION, Split.TEST) or math.isnan(row.lesions):
            continue
        if not row.lesions:
            yield Caution(f"The {row.split} images show no lesion: nothing can be measured on them.", "data")
        elif row.lesions < FEW_LESIONS:
            yield Caution(
                f"The {row.split} images show {text.number(int(row.lesions))} lesions: one more or less moves a "
                f"sensitivity by {text.share(1 / row.lesions)}.",
                "data",
            )
