"""The systems of a run: trained models, each with the stages that it was trained and measured in."""

import hashlib
from dataclasses import dataclass
from pathlib import Path

from system.metrics import FrocConfig
from system.records import Split
from system.rounds import Promotion
from system.run.results import FrocResult, InferResult, PoolsResult, Thresholds, TrainResult
from system.run.stage import Stage

SUPERVISED = "supervised"  # title of Stage 1
_WEIGHTS = "model.safetensors"  # as nets.weights writes it
_MODEL_HEX_DIGITS = 16


@dataclass(frozen=True)
class System:
    """A trained model of a run with its measurements; one row of the final table."""

    run: Path
    name: str  # of its folder in the run: stage1, control, round_01
    title: str  # as tables and the page name it

    @property
    def checkpoint(self) -> Stage[TrainResult]:
        """The training; files model.safetensors, model.json, epochs.jsonl."""
        return Stage(self.run, f"{self.name}/checkpoint", TrainResult)

    @property
    def held_out(self) -> Stage[InferResult]:
        """Predictions on validation and test, every map kept; files of schemas.PREDICTIONS.

        Where the mask threshold comes from reports (report_negatives), on a few weak images too.
        """
        return Stage(self.run, f"{self.name}/held_out", InferResult)

    @property
    def thresholds(self) -> Stage[Thresholds]:
        """The mask threshold and the candidate threshold, chosen on validation; no files."""
        return Stage(self.run, f"{self.name}/thresholds", Thresholds)

    def froc(self, split: Split = Split.TEST, *, other_rules: FrocConfig | None = None) -> Stage[FrocResult]:
        """The evaluation on a split; files froc.json, and images, lesions, candidates, cuts of these schemas.

        other_rules: than the run's own; each set of rules has a stage of its own
        """
        by = "" if other_rules is None else f"_by_{_digest(other_rules)}"
        return Stage(self.run, f"{self.name}/froc{'' if split is Split.TEST else f'_{split}'}{by}", FrocResult)

    def thresholds_by(self, other_rules: FrocConfig) -> Stage[Thresholds]:
        """The thresholds chosen for an evaluation by other rules than the run's own, which needed none; no files."""
        return Stage(self.run, f"{self.name}/thresholds_by_{_digest(other_rules)}", Thresholds)

    @property
    def validated(self) -> Stage[FrocResult]:
        """The evaluation on validation by which systems are compared: own-peak candidates, no chosen threshold."""
        return Stage(self.run, f"{self.name}/validated", FrocResult)

    @property
    def model(self) -> Path:
        """The folder that holds the trained model. Raises NotFinished."""
        return self.checkpoint.path("model.json").parent

    @property
    def model_name(self) -> str:
        """The beginning of the sha256 of its weights: the model's name, wherever it lies. Raises NotFinished."""
        with self.checkpoint.path(_WEIGHTS).open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()[:_MODEL_HEX_DIGITS]

    @property
    def measured(self) -> bool:
        """Whether the model is trained and evaluated on test."""
        return self.thresholds.finished and self.froc().finished


def _digest(rules: FrocConfig) -> str:
    return hashlib.sha256(rules.model_dump_json().encode()).hexdigest()[:8]


@dataclass(frozen=True)
class Round(System):
    """A round: its predictions, its pools, and the system that it trained."""

    number: int  # from 1

    @property
    def predictions(self) -> Stage[InferResult]:
        """Predictions of the model before, on the weak images; files of schemas.PREDICTIONS."""
        return Stage(self.run, f"{self.name}/predictions", InferResult)

    @property
    def pools(self) -> Stage[PoolsResult]:
        """The pools; files pool_step_N.arrow of schemas.POOL, and outlined.parquet of schemas.OUTLINED."""
        return Stage(self.run, f"{self.name}/pools", PoolsResult)

    @property
    def promotion(self) -> Stage[Promotion]:
        """Whether the next round goes on from this one's model; no files."""
        return Stage(self.run, f"{self.name}/promotion", Promotion)
