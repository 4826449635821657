"""The folder that keeps one training's report models; it is complete once its card is written.

Imports neither torch nor transformers.
"""

import hashlib
import json
from dataclasses import asdict, dataclass
from pathlib import Path

from pydantic import TypeAdapter

from system.errors import NotFinished
from system.files.json_in import read_record
from system.records import Side
from system.reports.rule_rates import LabelSource, RuleRates

ENCODER = "encoder"  # folder of the weights that every fine-tuning starts from, and of the tokenizer
CARD = "report_models.json"


@dataclass(frozen=True)
class ReportModelCard:
    """What is needed beside the weights to use them."""

    models: dict[str, list[str]]  # side -> folders, one per fold
    temperatures: dict[str, list[float]]  # side -> what each model's margins are divided by
    # the same, for the annotated reports that the model was held out from
    held_out_temperatures: dict[str, list[float]]
    labels: LabelSource  # what the label of a report is made of
    rules: RuleRates  # what the rules' answers are worth
    held_out_rules: list[RuleRates]  # the same for the annotated reports of each fold
    max_tokens: int
    batch_size: int  # reports in one forward pass


def model_folder(side: Side, fold: int) -> str:
    """Return the name of a model's folder, e.g. `L_0`: fine-tuned without fold 0."""
    return f"{side.value}_{fold}"


def save_report_models(folder: Path, card: ReportModelCard) -> str:
    """Complete a folder that holds the models by its card, and return the version that names them.

    The version is a digest of all files of the folder.
    """
    (folder / CARD).write_text(json.dumps(asdict(card), indent=1, sort_keys=True), encoding="utf8")
    digest = hashlib.sha256()
    for path in sorted(path for path in folder.rglob("*") if path.is_file()):
        digest.update(path.relative_to(folder).as_posix().encode())
        digest.update(path.read_bytes())
    return f"reports-{digest.hexdigest()[:12]}"


def read_card(folder: Path) -> ReportModelCard:
    """Return the card of a completed folder. Raises NotFinished when the folder was never completed."""
    file = folder / CARD
    if not file.exists():
        raise NotFinished(
            f"{folder.name} holds no {CARD}: its report models were never finished, run `mammoloop label` again"
        )
    return read_record(file, TypeAdapter(ReportModelCard), remedy="restore it, or run `mammoloop label --retrain`")
