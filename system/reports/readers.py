"""The finished report models of one training: kept in a folder, and asked together."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from transformers import PreTrainedModel, PreTrainedTokenizerFast

from system.records import Side
from system.reports.calibration import probability
from system.reports.encoder import load_classifier
from system.reports.finetune import ask
from system.reports.folder import ENCODER, ReaderFacts, read_facts
from system.reports.text import Sections
from system.reports.tokens import load_tokenizer


@dataclass(frozen=True)
class Readers:
    """All models of both sides, loaded."""

    models: dict[Side, list[PreTrainedModel]]
    tokenizer: PreTrainedTokenizerFast
    facts: ReaderFacts

    def read(self, descriptions: list[str], impressions: list[str]) -> dict[Side, np.ndarray]:
        """Return each side's probability of mass, [N] float32, 0 to 1: the mean of its models' calibrated answers (seed 000, 3.1)."""
        reports = [Sections(description, impression) for description, impression in zip(descriptions, impressions, strict=True)]
        return {side: np.mean([self._ask(model, reports, side=side) for model in models], axis=0) for side, models in self.models.items()}

    def _ask(self, model: PreTrainedModel, reports: list[Sections], *, side: Side) -> np.ndarray:
        margins = ask(model, self.tokenizer, reports, max_tokens=self.facts.max_tokens, batch_size=self.facts.batch_size)
        return probability(margins, self.facts.temperatures[side.value])


def load_readers(folder: Path, *, device: str) -> Readers:
    """Return the models of a completed folder on a device. Raises FileNotFoundError when it was never completed."""
    facts = read_facts(folder)
    models = {Side(side): [load_classifier(folder / name, device=device).eval() for name in names] for side, names in facts.models.items()}
    return Readers(models, load_tokenizer(folder / ENCODER), facts)
