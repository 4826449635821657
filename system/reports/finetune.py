"""Fine-tune one text classifier for one breast side, and predict with it."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import torch
from torch.nn.functional import binary_cross_entropy_with_logits, cross_entropy
from transformers import PreTrainedModel, PreTrainedTokenizerFast

from system.errors import UserError
from system.records import Side
from system.reports.config import ReportConfig
from system.reports.encoder import load_classifier
from system.reports.folder import model_folder
from system.reports.text import Sections, has_mirror_image, mirrored
from system.reports.tokens import encode, load_tokenizer

_BATCHES_SORTED_TOGETHER = 4

Examples = tuple[list[Sections], torch.Tensor]  # reports, and [N] int64: 1 mass, 0 none


@dataclass(frozen=True)
class FineTuneJob:
    """What one model is fine-tuned on: the reports of the folds it may see, and the truth about both breasts."""

    side: Side
    fold: int  # the one it never sees
    reports: list[Sections]
    truth: np.ndarray  # [N, 2] int8, left and right: 1 mass, 0 none, -1 not known
    early_stopping: np.ndarray  # [N] bool: not for training; its loss decides when to stop

    @property
    def name(self) -> str:
        """Folder of the model."""
        return model_folder(self.side, self.fold)


def fit(job: FineTuneJob, encoder: Path, out: Path, *, config: ReportConfig, device: str) -> int:
    """Fine-tune a classifier, save it into `out`, and return the epoch whose weights were kept, from 1.

    encoder: folder of encoder and tokenizer
    out: folder, gets safetensors and JSON
    device: torch's name

    Cross-entropy over the softmax of two logits (Tang et al. 2021, eq. 2 and 3). The same job, encoder and config give
    the same weights on devices of one type: first weights, dropout and order come from config.seed, the side and the
    fold, inside a fork of torch's generator.
    """
    training = _examples(job, ~job.early_stopping, with_mirrored=config.mirrored)
    validation = _examples(job, job.early_stopping, with_mirrored=False)
    tokenizer = load_tokenizer(encoder)
    with torch.random.fork_rng():
        torch.manual_seed(_seed(job, config.seed))
        model = load_classifier(encoder, device=device)
        optimizer = torch.optim.AdamW(model.parameters(), lr=config.learning_rate, weight_decay=config.weight_decay)
        num_steps = config.epochs * math.ceil(len(training[0]) / config.batch_size)
        schedule = torch.optim.lr_scheduler.LambdaLR(
            optimizer, partial(_rate, num_steps=num_steps, warmup=config.warmup_share)
        )
        best = _Best(math.inf, 0, {})
        for epoch in range(1, config.epochs + 1):
            _train_epoch(model, tokenizer, training, optimizer=optimizer, schedule=schedule, config=config)
            # without validation reports the last epoch is the best
            loss = validation_loss(model, tokenizer, validation, config=config) if validation[0] else -epoch
            _check_finite(model, loss, name=job.name)
            if loss < best.loss:
                weights = {name: weight.detach().cpu().clone() for name, weight in model.state_dict().items()}
                best = _Best(loss, epoch, weights)
            elif epoch - best.epoch >= config.patience_epochs:
                break
    model.cpu().load_state_dict(best.weights)
    model.save_pretrained(out)
    return best.epoch


def _check_finite(model: PreTrainedModel, loss: float, *, name: str) -> None:
    """Raise UserError for a model that has diverged; NaN would be lower than nothing, and its weights never kept."""
    if not math.isfinite(loss) or not all(bool(torch.isfinite(weight).all()) for weight in model.parameters()):
        raise UserError(
            f"report model {name} has diverged (its loss or its weights are no finite numbers): "
            "lower reports.learning_rate, or take another reports.encoder"
        )


@dataclass(frozen=True)
class _Best:
    loss: float
    epoch: int
    weights: dict[str, torch.Tensor]


def _train_epoch(
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerFast,
    examples: Examples,
    *,
    optimizer: torch.optim.Optimizer,
    schedule: torch.optim.lr_scheduler.LRScheduler,
    config: ReportConfig,
) -> None:
    """Train on every example once, in an order from torch's generator."""
    reports, truth = examples
    weights = _class_weights(truth, balanced=config.class_weights).to(model.device)
    model.train()
    for batch in _batches([report.length for report in reports], config.batch_size):
        shown = _drop_sections([reports[index] for index in batch], share=config.section_dropout)
        logits = _logits(model, _tokens(tokenizer, shown, max_tokens=config.max_tokens, device=model.device))
        loss = cross_entropy(
            logits, truth[batch].to(model.device), weight=weights, label_smoothing=config.label_smoothing
        )
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        schedule.step()


def validation_loss(
    model: PreTrainedModel, tokenizer: PreTrainedTokenizerFast, examples: Examples, *, config: ReportConfig
) -> float:
    """Return the mean cross-entropy of examples that the model is not trained on."""
    reports, truth = examples
    sizes = {"max_tokens": config.max_tokens, "batch_size": config.label_batch_size}
    margins = torch.from_numpy(predict_margins([model], tokenizer, reports, **sizes)[0])
    return float(binary_cross_entropy_with_logits(margins, truth.float()))


def predict_margins(
    models: Sequence[PreTrainedModel],
    tokenizer: PreTrainedTokenizerFast,
    reports: list[Sections],
    *,
    max_tokens: int,
    batch_size: int,
) -> np.ndarray:
    """Return the models' margins, [models, N] float32: logit of "mass" minus logit of "none".

    models: all on one device, of one tokenizer
    reports: N, in any order; they are read in batches of like length
    """
    device = models[0].device
    margins = np.zeros((len(models), len(reports)), np.float32)
    order = sorted(range(len(reports)), key=lambda index: reports[index].length)
    for model in models:
        model.eval()
    with torch.inference_mode():
        for start in range(0, len(order), batch_size):
            batch = order[start : start + batch_size]
            tokens = _tokens(tokenizer, [reports[index] for index in batch], max_tokens=max_tokens, device=device)
            logits = torch.stack([_logits(model, tokens) for model in models])
            margins[:, batch] = (logits[..., 1] - logits[..., 0]).cpu().numpy()
    return margins


def _examples(job: FineTuneJob, chosen: np.ndarray, *, with_mirrored: bool) -> Examples:
    """Return the chosen reports for which the truth of the job's side is known.

    chosen: [N] bool
    with_mirrored: add, mirrored, the chosen reports for which the truth of the other side is known; not one whose
        sides cannot be exchanged, which would teach the other breast's truth with its own text
    """
    columns = {Side.LEFT: 0, Side.RIGHT: 1}
    truth = np.where(chosen[:, None], job.truth, -1)
    own, other = truth[:, columns[job.side]], truth[:, columns[job.side.other]]
    reports = [report for report, known in zip(job.reports, own >= 0, strict=True) if known]
    labels = own[own >= 0]
    if with_mirrored:
        turned = np.array([has_mirror_image(report) for report in job.reports], bool) & (other >= 0)
        reports += [mirrored(report) for report, chosen_too in zip(job.reports, turned, strict=True) if chosen_too]
        labels = np.concatenate([labels, other[turned]])
    return reports, torch.from_numpy(labels.astype(np.int64))


def _batches(lengths: list[int], batch_size: int) -> list[list[int]]:
    """Return the positions of every batch of an epoch, in an order from torch's generator.

    The positions are shuffled, then sorted by length within groups of a few batches. That needs less padding, and the
    batches still differ from epoch to epoch.
    """
    group = _BATCHES_SORTED_TOGETHER * batch_size
    order = torch.randperm(len(lengths)).tolist()
    order = [
        index
        for start in range(0, len(order), group)
        for index in sorted(order[start : start + group], key=lengths.__getitem__)
    ]
    batches = [order[start : start + batch_size] for start in range(0, len(order), batch_size)]
    return [batches[index] for index in torch.randperm(len(batches)).tolist()]


def _drop_sections(reports: list[Sections], *, share: float) -> list[Sections]:
    """Return the reports, a share of them without description or without impression, never without both.

    Which ones is drawn from torch's generator. A section alone mostly agrees with the truth and is shorter, so the
    model learns from few reports what would otherwise take many more.
    """

    def shown(report: Sections, draw: float) -> Sections:
        if draw < share / 2 and report.impression:
            return Sections("", report.impression)
        if share / 2 <= draw < share and report.description:
            return Sections(report.description, "")
        return report

    return [shown(report, draw) for report, draw in zip(reports, torch.rand(len(reports)).tolist(), strict=True)]


def _seed(job: FineTuneJob, seed: int) -> int:
    return (seed * 1000 + job.fold) * 2 + (job.side is Side.RIGHT)


def _rate(step: int, *, num_steps: int, warmup: float) -> float:
    """Return the share of the full rate at a step: it rises linearly over the warm-up and falls linearly to zero.

    step: from 0
    warmup: share of the steps, 0 to 1
    """
    num_rising = max(1, round(warmup * num_steps))
    return min((step + 1) / num_rising, (num_steps - step) / max(1, num_steps - num_rising), 1.0)


def _class_weights(truth: torch.Tensor, *, balanced: bool) -> torch.Tensor:
    """Return the weights of both classes, [2] float.

    balanced: weights under which both classes count the same and the mean weight is 1; otherwise both are 1
    """
    if not balanced:
        return torch.ones(2)
    return len(truth) / (2 * torch.bincount(truth, minlength=2).clamp(min=1))


def _tokens(
    tokenizer: PreTrainedTokenizerFast, reports: list[Sections], *, max_tokens: int, device: torch.device
) -> dict[str, torch.Tensor]:
    return {name: column.to(device) for name, column in encode(tokenizer, reports, max_tokens=max_tokens).items()}


def _logits(model: PreTrainedModel, tokens: dict[str, torch.Tensor]) -> torch.Tensor:
    """Return [B, 2] float32 logits, none and mass; bf16 inside on a GPU."""
    with torch.autocast(model.device.type, dtype=torch.bfloat16, enabled=model.device.type == "cuda"):
        return model(**tokens).logits.float()
