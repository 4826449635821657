"""The layer between the hidden vector and the logits, kept and taken out; the folder gives the same model back."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import (
    AutoModelForSequenceClassification,
    BertConfig,
    BertModel,
    DistilBertConfig,
    DistilBertModel,
    ModernBertConfig,
    ModernBertModel,
    PreTrainedConfig,
    RobertaConfig,
    RobertaModel,
)

from system.errors import UserError
from system.reports.config import ReportConfig, SmallEncoderConfig
from system.reports.encoder import build_encoder, load_classifier
from system.reports.text import Sections
from system.reports.tokens import encode, load_tokenizer

TEXTS = [Sections("左乳见肿块。", "左乳4A类。"), Sections("No mass in the left breast.", "BI-RADS 1.")] * 3
SMALL = SmallEncoderConfig(hidden_size=8, num_heads=2, vocabulary_size=100)
CONFIG = ReportConfig.small_encoder(small=SMALL, max_tokens=24)
SHAPE = {"hidden_size": 8, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 16}
KINDS: dict[str, tuple[Callable[..., PreTrainedConfig], Callable[..., Any], str, str]] = {
    "bert": (BertConfig, BertModel, "bert", "classifier"),
    "roberta": (RobertaConfig, RobertaModel, "roberta", "classifier.out_proj"),
    "modernbert": (ModernBertConfig, ModernBertModel, "model", "classifier"),
}


def given(folder: Path, shape: Callable[..., PreTrainedConfig], make: Callable[..., Any], **changes: int) -> Path:
    """Write an encoder without a classifier, as published ones are, and a tokenizer that it goes with."""
    build_encoder(folder / "small", "small", TEXTS, config=CONFIG, device="cpu")
    tokenizer = load_tokenizer(folder / "small")
    ids = {"pad_token_id": 0, "cls_token_id": 2, "sep_token_id": 3, "bos_token_id": 2, "eos_token_id": 3}
    settings = SHAPE | ids | {"vocab_size": len(tokenizer), "max_position_embeddings": 64}
    with torch.random.fork_rng():
        torch.manual_seed(0)
        make(shape(**(settings | changes))).save_pretrained(folder / "given")
    tokenizer.save_pretrained(folder / "given")
    return folder / "given"


@torch.inference_mode()
def logits_of(model: Any, folder: Path) -> torch.Tensor:
    return model.eval()(**encode(load_tokenizer(folder), TEXTS[:2], max_tokens=24)).logits


@torch.inference_mode()
def of_first_vector(model: Any, folder: Path, *, base: str, linear: str) -> torch.Tensor:
    """Return eq. 2 with a bias: W times the last hidden vector of [CLS]."""
    hidden = model.eval().get_submodule(base)(**encode(load_tokenizer(folder), TEXTS[:2], max_tokens=24))[0]
    layer = model.get_submodule(linear)
    return hidden[:, 0] @ layer.weight.T + layer.bias


@pytest.mark.parametrize("kind", KINDS)
def test_without_a_pooler_the_logits_are_a_linear_function_of_the_first_vector(kind: str, tmp_path: Path) -> None:
    shape, make, base, linear = KINDS[kind]
    source, out = given(tmp_path, shape, make), tmp_path / "out"
    build_encoder(out, str(source), TEXTS, config=CONFIG.changed(pooler=False), device="cpu")

    model = load_classifier(out)
    torch.testing.assert_close(logits_of(model, out), of_first_vector(model, out, base=base, linear=linear))

    model.save_pretrained(tmp_path / "fine-tuned")
    again = load_classifier(tmp_path / "fine-tuned")
    torch.testing.assert_close(logits_of(again, out), logits_of(model, out), rtol=0, atol=0)


@pytest.mark.parametrize("kind", KINDS)
def test_with_its_pooler_a_classifier_is_the_one_that_transformers_makes(kind: str, tmp_path: Path) -> None:
    shape, make, base, linear = KINDS[kind]
    source, out = given(tmp_path, shape, make), tmp_path / "out"
    build_encoder(out, str(source), TEXTS, config=CONFIG.changed(pooler=True), device="cpu")

    model = load_classifier(out)
    theirs = AutoModelForSequenceClassification.from_pretrained(out)
    torch.testing.assert_close(logits_of(model, out), logits_of(theirs, out), rtol=0, atol=0)
    assert not torch.allclose(logits_of(model, out), of_first_vector(model, out, base=base, linear=linear))


def test_the_small_encoder_without_a_pooler_is_linear_in_the_mean_of_all_vectors(tmp_path: Path) -> None:
    build_encoder(tmp_path, "small", TEXTS, config=CONFIG.changed(pooler=False), device="cpu")
    model: Any = load_classifier(tmp_path).eval()
    tokens = encode(load_tokenizer(tmp_path), TEXTS[:1], max_tokens=24)
    with torch.inference_mode():
        mean = model.model(**tokens)[0].mean(dim=1)
        torch.testing.assert_close(model(**tokens).logits, model.classifier(mean))


def test_a_folder_saved_without_a_pooler_can_be_the_source_of_one_with_it(tmp_path: Path) -> None:
    source = given(tmp_path, BertConfig, BertModel)
    build_encoder(tmp_path / "without", str(source), TEXTS, config=CONFIG.changed(pooler=False), device="cpu")
    build_encoder(tmp_path / "with", str(tmp_path / "without"), TEXTS, config=CONFIG, device="cpu")
    assert "bert.pooler.dense.weight" in load_classifier(tmp_path / "with").state_dict()
    assert "bert.pooler.dense.weight" not in load_classifier(tmp_path / "without").state_dict()


def test_an_encoder_whose_pooler_is_not_known_is_refused_with_the_way_out(tmp_path: Path) -> None:
    distil = {"dim": 8, "n_layers": 1, "n_heads": 2, "hidden_dim": 16}
    source = given(tmp_path, DistilBertConfig, DistilBertModel, **distil)
    with pytest.raises(UserError, match=r"^reports\.pooler=false: an encoder of type 'distilbert'.*pooler=true"):
        build_encoder(tmp_path / "out", str(source), TEXTS, config=CONFIG.changed(pooler=False), device="cpu")


def test_an_encoder_that_takes_fewer_tokens_than_a_report_may_have_is_refused(tmp_path: Path) -> None:
    source = given(tmp_path, BertConfig, BertModel, max_position_embeddings=20)
    with pytest.raises(UserError, match=r"^reports\.max_tokens: the encoder takes 20 tokens, not 24; set"):
        build_encoder(tmp_path / "out", str(source), TEXTS, config=CONFIG, device="cpu")
