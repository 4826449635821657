"""Pre-train a small encoder on masked words of all reports (Devlin et al. 2019, section 3.1)."""

import torch
from torch.nn.functional import cross_entropy
from transformers import PreTrainedTokenizerFast

from system.reports.config import ReportConfig
from system.reports.text import Sections
from system.reports.tokens import encode

_IGNORED = -100  # a target that cross_entropy leaves out


def pretrain(
    model: torch.nn.Module,
    tokenizer: PreTrainedTokenizerFast,
    texts: list[Sections],
    *,
    config: ReportConfig,
    device: str,
) -> None:
    """Train a masked language model in place for small.pretrain_epochs passes.

    All random draws are from torch's generator, which the caller seeds.
    """
    small = config.small
    if not small.pretrain_epochs:
        return
    ordered = sorted(texts, key=lambda text: text.length)
    batches = [
        ordered[start : start + 2 * config.batch_size] for start in range(0, len(ordered), 2 * config.batch_size)
    ]
    model.to(device).train()
    optimizer = torch.optim.AdamW(model.parameters(), lr=small.pretrain_learning_rate)
    for _ in range(small.pretrain_epochs):
        for index in torch.randperm(len(batches)).tolist():
            batch = batches[index]
            tokens = encode(tokenizer, batch, max_tokens=config.max_tokens)
            target = _mask(tokens, tokenizer, share=small.masked_share).to(device)
            logits = model(**{name: column.to(device) for name, column in tokens.items()}).logits
            loss = cross_entropy(logits.flatten(0, 1), target.flatten(), ignore_index=_IGNORED)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
    model.to("cpu")


def _mask(tokens: dict[str, torch.Tensor], tokenizer: PreTrainedTokenizerFast, *, share: float) -> torch.Tensor:
    """Replace a share of the tokens by [MASK], in place; return what stood there, [B, T] int64, _IGNORED elsewhere."""
    ids = tokens["input_ids"]
    special = torch.isin(ids, torch.tensor(tokenizer.all_special_ids))
    masked = (torch.rand(ids.shape) < share) & ~special
    target = ids.masked_fill(~masked, _IGNORED)
    tokens["input_ids"] = ids.masked_fill(masked, tokenizer.get_vocab()["[MASK]"])
    return target
