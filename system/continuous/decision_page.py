"""A decision of the gate as a page that one can hand to an auditor, and the same as JSON."""

from dataclasses import dataclass
from pathlib import Path

from system.continuous.gate import Judgement
from system.continuous.plan import Plan
from system.continuous.registry import Lineage
from system.figures.format import share
from system.figures.html import render
from system.files.atomic import write_text
from system.files.json_out import as_json, write_json

PAGE, RECORD = "decision.html", "decision.json"


@dataclass(frozen=True)
class DecisionRecord:
    """All that a decision rests on."""

    candidate: str  # name of the model
    lineage: Lineage
    promoted: str  # name of the model that it would replace
    promoted_lineage: Lineage
    plan_digest: str
    plan: Plan
    judgement: Judgement
    fppi: tuple[float, ...]  # operating points of the mean sensitivity


def write_decision(folder: Path, record: DecisionRecord) -> Path:
    """Write decision.html and decision.json into a folder, and return the page's path. They name no patient."""
    folder.mkdir(parents=True, exist_ok=True)
    write_json(folder / RECORD, record)
    write_text(
        folder / PAGE, render("decision.html", record=record, origins=_origins(record), plan_text=as_json(record.plan))
    )
    return folder / PAGE


def _origins(record: DecisionRecord) -> list[tuple[str, str, str]]:
    """Return where the promoted model and the candidate come from, line by line."""
    both = [_origin(record.promoted, record.promoted_lineage), _origin(record.candidate, record.lineage)]
    return [(what, first, both[1][what]) for what, first in both[0].items()]


def _origin(name: str, lineage: Lineage) -> dict[str, str]:
    versions = ", ".join(f"{table} {version}" for table, version in lineage.archive_versions.items())
    return {
        "model, the beginning of the SHA-256 of its weights": name,
        "run": lineage.run,
        "system": lineage.system,
        "went on from": lineage.parent or "–",
        "checkpoint": lineage.checkpoint,
        "recipe of the run, digest": lineage.recipe,
        "trained by code of digest": lineage.code_digest,
        "data: versions of the archive's tables": versions,
        "judged by plan": lineage.plan,
        "mean sensitivity on test": share(lineage.mean),
    }
