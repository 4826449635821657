"""Teach one encoder to read one breast's fate from a report, and ask it."""

from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import torch
from torch.nn.functional import cross_entropy
from transformers import PreTrainedModel, PreTrainedTokenizerFast

from system.records import Side
from system.reports.config import ReportConfig
from system.reports.encoder import load_classifier
from system.reports.folder import model_folder
from system.reports.text import Sections, mirrored
from system.reports.tokens import encode, load_tokenizer

_BATCHES_SORTED_TOGETHER = 4


@dataclass(frozen=True)
class Lesson:
    """What one of the models is taught: the reports of the folds it may see, and the truth about both breasts."""

    side: Side
    fold: int  # the one it never sees
    reports: list[Sections]
    truth: np.ndarray  # [N, 2] int8, left and right: 1 mass, 0 none, -1 not known

    @property
    def name(self) -> str:
        """Folder of the model."""
        return model_folder(self.side, self.fold)


def fit(lesson: Lesson, encoder: Path, out: Path, *, config: ReportConfig, device: str) -> None:
    """Fine-tune a classifier from an encoder's folder and save it (safetensors + JSON) into out.

    Cross-entropy over softmax of two logits (seed 000, eq. 2 and 3). The same lesson, encoder and config give the same weights on one kind
    of device: first weights, dropout and order come from config.seed, the side and the fold, inside a fork of torch's generator.
    """
    reports, truth = _examples(lesson, with_mirrored=config.mirrored)
    tokenizer = load_tokenizer(encoder)
    with torch.random.fork_rng():
        torch.manual_seed(_seed(lesson, config.seed))
        model = load_classifier(encoder, device=device).train()
        optimizer = torch.optim.AdamW(model.parameters(), lr=config.learning_rate, weight_decay=config.weight_decay)
        batches = _batches([report.length for report in reports], config.batch_size, num_epochs=config.epochs)
        schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, partial(_rate, num_steps=len(batches), warmup=config.warmup_share))
        weights = _class_weights(truth, balanced=config.class_weights).to(device)
        for batch in batches:
            shown = _with_gaps([reports[index] for index in batch], share=config.section_dropout)
            logits = _logits(model, tokenizer, shown, max_tokens=config.max_tokens, device=device)
            loss = cross_entropy(logits, truth[batch].to(device), weight=weights)
            optimizer.zero_grad()
            loss.backward()
            torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            optimizer.step()
            schedule.step()
    model.cpu().save_pretrained(out)


def ask(
    model: PreTrainedModel, tokenizer: PreTrainedTokenizerFast, reports: list[Sections], *, max_tokens: int, batch_size: int
) -> np.ndarray:
    """Return each report's margin, [N] float32: logit of "mass" minus logit of "none". Batches are made of reports of like length."""
    device = str(next(model.parameters()).device)
    margins = np.zeros(len(reports), np.float32)
    order = sorted(range(len(reports)), key=lambda index: reports[index].length)
    model.eval()
    with torch.inference_mode():
        for start in range(0, len(order), batch_size):
            batch = order[start : start + batch_size]
            logits = _logits(model, tokenizer, [reports[index] for index in batch], max_tokens=max_tokens, device=device)
            margins[batch] = (logits[:, 1] - logits[:, 0]).cpu().numpy()
    return margins


def _examples(lesson: Lesson, *, with_mirrored: bool) -> tuple[list[Sections], torch.Tensor]:
    """Return the reports whose breast's truth is known, and, mirrored, those whose other breast's is."""
    columns = {Side.LEFT: 0, Side.RIGHT: 1}
    own, other = lesson.truth[:, columns[lesson.side]], lesson.truth[:, columns[lesson.side.other]]
    reports = [report for report, known in zip(lesson.reports, own >= 0, strict=True) if known]
    truth = own[own >= 0]
    if with_mirrored:
        reports += [mirrored(report) for report, known in zip(lesson.reports, other >= 0, strict=True) if known]
        truth = np.concatenate([truth, other[other >= 0]])
    return reports, torch.from_numpy(truth.astype(np.int64))


def _batches(lengths: list[int], batch_size: int, *, num_epochs: int) -> list[list[int]]:
    """Return the positions of every batch of the training, from torch's generator.

    Each epoch is shuffled, then sorted by length within groups of a few batches: less padding, still another mixture each time.
    """
    batches, group = [], _BATCHES_SORTED_TOGETHER * batch_size
    for _ in range(num_epochs):
        order = torch.randperm(len(lengths)).tolist()
        order = [index for start in range(0, len(order), group) for index in sorted(order[start : start + group], key=lengths.__getitem__)]
        epoch = [order[start : start + batch_size] for start in range(0, len(order), batch_size)]
        batches += [epoch[index] for index in torch.randperm(len(epoch)).tolist()]
    return batches


def _with_gaps(reports: list[Sections], *, share: float) -> list[Sections]:
    """Return the reports, a share of them (from torch's generator) without description or without impression, never without both.

    Each section alone mostly tells the truth, and it is shorter: the model learns from less what would take many more reports.
    """

    def shown(report: Sections, draw: float) -> Sections:
        if draw < share / 2 and report.impression:
            return Sections("", report.impression)
        if share / 2 <= draw < share and report.description:
            return Sections(report.description, "")
        return report

    return [shown(report, draw) for report, draw in zip(reports, torch.rand(len(reports)).tolist(), strict=True)]


def _seed(lesson: Lesson, seed: int) -> int:
    return (seed * 1000 + lesson.fold) * 2 + (lesson.side is Side.RIGHT)


def _rate(step: int, *, num_steps: int, warmup: float) -> float:
    """Return the share of the full rate at a step: up in a line over the warm-up, down in a line to zero at the end."""
    num_rising = max(1, round(warmup * num_steps))
    return min((step + 1) / num_rising, (num_steps - step) / max(1, num_steps - num_rising), 1.0)


def _class_weights(truth: torch.Tensor, *, balanced: bool) -> torch.Tensor:
    """Return [2] float: 1, 1, or the weights under which both classes count the same and the mean weight is 1."""
    if not balanced:
        return torch.ones(2)
    return len(truth) / (2 * torch.bincount(truth, minlength=2).clamp(min=1))


def _logits(
    model: PreTrainedModel, tokenizer: PreTrainedTokenizerFast, reports: list[Sections], *, max_tokens: int, device: str
) -> torch.Tensor:
    """Return [B, 2] float32 logits, none and mass; bf16 inside on a GPU."""
    tokens = {name: column.to(device) for name, column in encode(tokenizer, reports, max_tokens=max_tokens).items()}
    with torch.autocast(device.split(":", maxsplit=1)[0], dtype=torch.bfloat16, enabled=device.startswith("cuda")):
        return model(**tokens).logits.float()
