"""Bring the encoder and its tokenizer into one folder: from the hub, from a local folder, or built from the reports.

Weights are read from safetensors only; nothing is ever unpickled.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from transformers import (
    AutoModelForSequenceClassification,
    ModernBertConfig,
    ModernBertForMaskedLM,
    ModernBertForSequenceClassification,
    PreTrainedModel,
    PreTrainedTokenizerFast,
)
from transformers.utils import logging as transformers_logging

from system.errors import UserError
from system.reports.config import ReportConfig
from system.reports.head import is_straight, set_head
from system.reports.pretraining import pretrain
from system.reports.source import SMALL
from system.reports.text import Sections
from system.reports.tokens import learn_vocabulary, load_tokenizer


def build_encoder(folder: Path, source: str, texts: list[Sections], *, config: ReportConfig, device: str) -> None:
    """Write the encoder that every fine-tuning starts from, and its tokenizer, into a folder.

    source: what find_encoder returned
    texts: all reports, annotated or not; only a small encoder uses them

    Raises UserError when the encoder takes fewer tokens than reports.max_tokens, or when its pooler cannot be taken
    out.
    """
    with torch.random.fork_rng():
        torch.manual_seed(config.seed)
        if source == SMALL:
            tokenizer = learn_vocabulary(texts, size=config.small.vocabulary_size, max_tokens=config.max_tokens)
            model = _build_small(tokenizer, texts, config=config, device=device)
        else:
            tokenizer = load_tokenizer(Path(source))
            model = _load(Path(source))
            _check_length(model, max_tokens=config.max_tokens)
        set_head(model, pooler=config.pooler)
    with _quiet_loading():
        model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)


def load_classifier(folder: Path, *, device: str = "cpu") -> PreTrainedModel:
    """Return the two-class model of a folder, on a device, with or without a pooler as it was saved.

    A head that the folder does not hold gets fresh weights from torch's generator.
    """
    model: Any = _load(folder)  # the stubs of `to` take no device's name
    if is_straight(model):
        set_head(model, pooler=False)
    return model.to(device)


def _load(folder: Path) -> PreTrainedModel:
    """Return the classifier that transformers makes of a folder, whatever its config says of the head."""
    with _quiet_loading():
        return AutoModelForSequenceClassification.from_pretrained(
            folder, num_labels=2, use_safetensors=True, local_files_only=True
        )


def _check_length(model: PreTrainedModel, *, max_tokens: int) -> None:
    """Raise UserError when the encoder has fewer positions than a report may have tokens."""
    longest = getattr(model.config, "max_position_embeddings", max_tokens)
    if longest < max_tokens:
        raise UserError(
            f"reports.max_tokens: the encoder takes {longest} tokens, not {max_tokens}; "
            f"set reports.max_tokens={longest} or lower"
        )


def _build_small(
    tokenizer: PreTrainedTokenizerFast, texts: list[Sections], *, config: ReportConfig, device: str
) -> PreTrainedModel:
    """Return a small ModernBERT, pre-trained if small.pretrain_epochs is above 0.

    It is not the plain BERT of the paper. From the few reports of a demo, a model with learned absolute positions and
    the first token's vector does not learn which side a word belongs to; one with rotary positions, attention to near
    words and the mean of all vectors does.
    """
    small, ids = config.small, tokenizer.get_vocab()
    shape = ModernBertConfig(
        vocab_size=len(tokenizer),
        hidden_size=small.hidden_size,
        intermediate_size=2 * small.hidden_size,
        num_hidden_layers=small.num_layers,
        num_attention_heads=small.num_heads,
        max_position_embeddings=config.max_tokens,
        layer_types=["sliding_attention"] * small.num_layers,
        local_attention=small.window_tokens,
        classifier_pooling="mean",
        # the usual 0.02 is for a width of 768; with it nothing is learned here for the first epochs
        initializer_range=small.hidden_size**-0.5,
        embedding_dropout=small.dropout,
        mlp_dropout=small.dropout,
        classifier_dropout=small.dropout,
        pad_token_id=ids["[PAD]"],
        cls_token_id=ids["[CLS]"],
        sep_token_id=ids["[SEP]"],
        bos_token_id=ids["[CLS]"],
        eos_token_id=ids["[SEP]"],
    )
    model = ModernBertForSequenceClassification(shape)
    if small.pretrain_epochs:
        masked_model = ModernBertForMaskedLM(shape)
        pretrain(masked_model, tokenizer, texts, config=config, device=device)
        model.model.load_state_dict(masked_model.model.state_dict())
    return model


@contextmanager
def _quiet_loading() -> Iterator[None]:
    """Suppress the warning about the missing weights of a fresh head: it is meant to be fresh."""
    before = transformers_logging.get_verbosity()
    transformers_logging.set_verbosity_error()
    transformers_logging.disable_progress_bar()
    try:
        yield
    finally:
        transformers_logging.set_verbosity(before)
