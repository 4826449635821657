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

    def read(self, reports: list[Sections], folds: np.ndarray) -> dict[Side, np.ndarray]:
        """Return each side's probability of mass, [N] float32, 0 to 1: the mean of its models' calibrated answers (seed 000, 3.1).

        folds: [N] int; a report that taught, or an earlier version of it, is read by the one model of its fold alone; -1 = by all
        """
        everyone = [model for models in self.models.values() for model in models]
        margins = ask(everyone, self.tokenizer, reports, max_tokens=self.facts.max_tokens, batch_size=self.facts.batch_size)
        parts = np.split(margins, np.cumsum([len(models) for models in self.models.values()])[:-1])
        return {side: self._answer(side, part, folds) for side, part in zip(self.models, parts, strict=True)}

    def _answer(self, side: Side, margins: np.ndarray, folds: np.ndarray) -> np.ndarray:
        """Return [N] from margins [models, N]."""
        mean = probability(margins, np.array(self.facts.temperatures[side.value])[:, None]).mean(axis=0)
        own = np.maximum(folds, 0)
        held_out = probability(margins[own, np.arange(len(folds))], np.array(self.facts.held_out_temperatures[side.value])[own])
        return np.where(folds < 0, mean, held_out)


def load_readers(folder: Path, *, device: str) -> Readers:
    """Return the models of a completed folder on a device. Raises FileNotFoundError when it was never completed."""
    facts = read_facts(folder)
    models = {Side(side): [load_classifier(folder / name, device=device).eval() for name in names] for side, names in facts.models.items()}
    return Readers(models, load_tokenizer(folder / ENCODER), facts)
