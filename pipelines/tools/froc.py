"""Measure the boxes of any system: three CSV files in, sensitivities with intervals out. Needs no Ray."""

from dataclasses import asdict
from pathlib import Path

from rich.console import Console

from system.figures.console import console
from system.figures.table import Table
from system.files.csv_out import write_csv
from system.files.json_out import write_json
from system.metrics import OUTCOMES, BoxResult, BoxRules, BoxSet, FrocConfig, evaluate_boxes, read_boxes

COLUMNS = ("image_id", "score", "x0", "y0", "x1", "y1", "outcome", "lesion", "overlap")


def run(  # noqa: PLR0913 - three files in, two out, and two kinds of rules
    images: Path,
    lesions: Path,
    candidates: Path,
    *,
    rules: BoxRules,
    config: FrocConfig,
    json_file: Path | None = None,
    table_file: Path | None = None,
) -> BoxResult:
    """Print the result and write it where asked. Raises UserError as `read_boxes` does."""
    boxes = read_boxes(images, lesions, candidates, with_breasts=rules.per == "breast")
    result = evaluate_boxes(boxes, rules=rules, config=config)
    show(result, screen=console(json_file=json_file))
    if json_file:
        settings = {
            "match": rules.how,
            "limit": rules.limit,
            "per": rules.per,
            "duplicates": config.duplicates,
            "bootstrap": config.bootstrap,
            "seed": config.seed,
        }
        facts = {"rules": result.rules, "counts": result.counts, "curve": result.curve, "settings": settings}
        write_json(json_file, asdict(result.froc) | facts)
    if table_file:
        _write_outcomes(table_file, boxes, result)
    return result


def show(result: BoxResult, *, screen: Console) -> None:
    """Print the sensitivities, if there is a lesion, and what they rest on."""
    if result.counts["num_lesions"]:
        screen.print(_table(result))
    for line in _remarks(result):
        screen.print(line)


def _table(result: BoxResult) -> Table:
    found = result.froc
    table = Table("FROC")
    for heading in ("FPPI", "sensitivity", "95 % interval"):
        table.add_column(heading, right=True)
    rows = [(fppi, value, found.sensitivity_interval[fppi]) for fppi, value in found.sensitivity.items()]
    for name, value, (low, high) in [*rows, ("mean", found.mean, found.interval)]:
        early = "*" if name in found.ends_before else ""
        table.add_row(name, f"{value:.4f}{early}", f"{low:.4f} to {high:.4f}")
    return table


def _remarks(result: BoxResult) -> list[str]:
    found = result.froc
    ends = f"the curve ends at {found.curve_ends_fppi:.4g} false positives per image"
    remarks = [f"{ends}; *: where it does not reach, its last value" if found.ends_before else ends]
    if not result.counts["num_lesions"]:
        remarks = ["the table of lesions has no row, so there is no sensitivity; false positives were counted"]
    counted = (f"{value} {name.removeprefix('num_').replace('_', ' ')}" for name, value in result.counts.items())
    return [*remarks, ", ".join(counted), *result.rules]


def _write_outcomes(path: Path, boxes: BoxSet, result: BoxResult) -> None:
    """Write what became of every candidate, in the order given.

    lesion: its number among those of the image, from 0; -1 for none
    """
    names = {int(outcome): name for outcome, name in OUTCOMES.items()}
    columns = (
        [boxes.image_id[index] for index in boxes.candidate_image.tolist()],
        boxes.score.tolist(),
        *boxes.candidate_box.T.tolist(),
        [names[outcome] for outcome in result.matched.outcome.tolist()],
        result.lesion.tolist(),
        result.matched.iou.tolist(),
    )
    write_csv(path, COLUMNS, zip(*columns, strict=True))
