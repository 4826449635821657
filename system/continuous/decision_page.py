"""A decision of the gate as a page that one can hand to an auditor, and the same as JSON."""

from dataclasses import dataclass
from pathlib import Path

from system.continuous.gate import Judgement
from system.continuous.plan import Plan
from system.continuous.registry import Lineage
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
    write_text(folder / PAGE, render("decision.html", record=record, plan_text=as_json(record.plan)))
    return folder / PAGE
