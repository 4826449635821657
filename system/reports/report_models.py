"""The finished report models of one training: loaded from their folder, and applied together."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from transformers import PreTrainedModel, PreTrainedTokenizerFast

from system.records import Side
from system.reports.calibration import probability
from system.reports.encoder import load_classifier
from system.reports.finetune import predict_margins
from system.reports.folder import ENCODER, ReportModelCard, read_card
from system.reports.rule_rates import choose, rule_answers, rule_probabilities
from system.reports.text import Sections
from system.reports.tokens import load_tokenizer


@dataclass(frozen=True)
class ReportModels:
    """All models of both sides, loaded."""

    models: dict[Side, list[PreTrainedModel]]
    tokenizer: PreTrainedTokenizerFast
    card: ReportModelCard

    def read(self, reports: list[Sections], folds: np.ndarray) -> dict[Side, np.ndarray]:
        """Return each side's p_mass, [N] float32, 0 to 1: of the models, the rules, or the mean of both, as chosen.

        The models' is the mean of a side's models (Tang et al. 2021, section 3.2), calibrated or not.

        folds: [N] int; the fold of a report that was used in training, now or in an earlier version: only the one
            model of that fold, which has not seen it, reads it; -1 = all models read it
        """
        match self.card.labels:
            case "models":
                return self._by_models(reports, folds)
            case "rules":
                return self._by_rules(reports, folds)
            case "mean":
                p_models, p_rules = self._by_models(reports, folds), self._by_rules(reports, folds)
                return {side: choose("mean", models=p_models[side], rules=p_rules[side]) for side in Side}

    def _by_rules(self, reports: list[Sections], folds: np.ndarray) -> dict[Side, np.ndarray]:
        """Return each side's p_mass by the rules, [N] float32."""
        card = self.card
        return {
            side: rule_probabilities(answers, folds, later=card.rules, held_out=card.held_out_rules)
            for side, answers in rule_answers(reports).items()
        }

    def _by_models(self, reports: list[Sections], folds: np.ndarray) -> dict[Side, np.ndarray]:
        """Return each side's p_mass by its models, [N] float32."""
        all_models = [model for models in self.models.values() for model in models]
        margins = predict_margins(
            all_models, self.tokenizer, reports, max_tokens=self.card.max_tokens, batch_size=self.card.batch_size
        )
        parts = np.split(margins, np.cumsum([len(models) for models in self.models.values()])[:-1])
        return {side: self._p_mass(side, part, folds) for side, part in zip(self.models, parts, strict=True)}

    def _p_mass(self, side: Side, margins: np.ndarray, folds: np.ndarray) -> np.ndarray:
        """Return one side's p_mass, [N]. margins: [models, N];  folds: [N]."""
        mean = probability(margins, np.array(self.card.temperatures[side.value])[:, None]).mean(axis=0)
        own = np.maximum(folds, 0)
        held_out = probability(
            margins[own, np.arange(len(folds))], np.array(self.card.held_out_temperatures[side.value])[own]
        )
        return np.where(folds < 0, mean, held_out)


def load_report_models(folder: Path, *, device: str) -> ReportModels:
    """Return the models of a completed folder on a device. Raises NotFinished when the folder was never completed."""
    card = read_card(folder)
    models = {
        Side(side): [load_classifier(folder / name, device=device).eval() for name in names]
        for side, names in card.models.items()
    }
    return ReportModels(models, load_tokenizer(folder / ENCODER), card)
