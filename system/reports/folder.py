"""The folder that keeps one training's report models, complete once its description is written. Imports neither torch nor transformers."""

import hashlib
import json
from dataclasses import asdict, dataclass
from pathlib import Path

from system.records import Side

ENCODER = "encoder"  # folder of the weights all fine-tunes start from, and of the tokenizer
_DESCRIPTION = "readers.json"


@dataclass(frozen=True)
class ReaderFacts:
    """What must be known beside the weights to use them."""

    models: dict[str, list[str]]  # side -> folders, one per fold
    temperatures: dict[str, list[float]]  # side -> what each model's margins are divided by
    held_out_temperatures: dict[str, list[float]]  # the same, for the reports the model was held out from while it was taught
    max_tokens: int
    batch_size: int  # reports asked at once


def model_folder(side: Side, fold: int) -> str:
    """Return the name of a model's folder, e.g. `L_0`: taught without fold 0."""
    return f"{side.value}_{fold}"


def save_readers(folder: Path, facts: ReaderFacts) -> str:
    """Complete a folder that holds the models by what else is needed, and return the version that names them: a digest of all of it."""
    (folder / _DESCRIPTION).write_text(json.dumps(asdict(facts), indent=1, sort_keys=True), encoding="utf8")
    digest = hashlib.sha256()
    for path in sorted(path for path in folder.rglob("*") if path.is_file()):
        digest.update(path.relative_to(folder).as_posix().encode())
        digest.update(path.read_bytes())
    return f"reports-{digest.hexdigest()[:12]}"


def read_facts(folder: Path) -> ReaderFacts:
    """Return the facts of a completed folder. Raises FileNotFoundError when it was never completed."""
    description = folder / _DESCRIPTION
    if not description.exists():
        raise FileNotFoundError(
            f"{folder.name} holds no {_DESCRIPTION}: its report models were never finished, run `mammoloop label` again"
        )
    return ReaderFacts(**json.loads(description.read_text(encoding="utf8")))
