import pickle
from pathlib import Path

import pytest
import torch

from system.errors import UserError
from system.reports.config import ReportConfig, SmallEncoderConfig
from system.reports.encoder import build_encoder, load_classifier
from system.reports.source import find_encoder
from system.reports.text import Sections
from system.reports.tokens import encode, load_tokenizer

TEXTS = [
    Sections("左乳见肿块。", "左乳4A类。"),
    Sections("No mass in the left breast.", "BI-RADS 1."),
    Sections("右乳未见肿块。", ""),
] * 3
TINY = ReportConfig.small_encoder(
    small=SmallEncoderConfig(hidden_size=8, num_heads=2, vocabulary_size=100), max_tokens=24
)


def digest(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_an_encoder_that_cannot_be_found_names_the_setting_and_the_remedy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    with pytest.raises(
        UserError, match=r"^reports\.encoder: hfl/no-such-encoder is no local folder.*set reports\.encoder to a folder"
    ):
        find_encoder("hfl/no-such-encoder")


def test_pickled_weights_are_refused_unopened(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text('{"model_type": "bert"}')
    (tmp_path / "pytorch_model.bin").write_bytes(pickle.dumps({"weights": 1}))
    with pytest.raises(UserError, match=r"reports\.encoder: .* pickles and are not opened.*use_safetensors=False"):
        find_encoder(str(tmp_path))


def test_a_local_folder_of_any_bert_is_an_encoder(tmp_path: Path) -> None:
    from transformers import BertConfig, BertModel

    build_encoder(tmp_path / "small", "small", TEXTS, config=TINY, device="cpu")
    tokenizer = load_tokenizer(tmp_path / "small")
    shape = BertConfig(
        vocab_size=len(tokenizer), hidden_size=8, num_hidden_layers=1, num_attention_heads=2, intermediate_size=16
    )
    BertModel(shape).save_pretrained(tmp_path / "given")  # no classification head, as a published encoder
    tokenizer.save_pretrained(tmp_path / "given")

    build_encoder(tmp_path / "built", find_encoder(str(tmp_path / "given")), TEXTS, config=TINY, device="cpu")

    model = load_classifier(tmp_path / "built").eval()
    assert type(model).__name__ == "BertForSequenceClassification"
    tokens = encode(load_tokenizer(tmp_path / "built"), TEXTS[:2], max_tokens=24)
    assert model(**tokens).logits.shape == (2, 2)


def test_a_small_encoder_is_the_same_twice_and_leaves_torchs_generator_alone(tmp_path: Path) -> None:
    before = torch.random.get_rng_state()
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        build_encoder(tmp_path / name, "small", TEXTS, config=TINY, device="cpu")
    assert digest(tmp_path / "one") == digest(tmp_path / "two")
    assert "model.safetensors" in digest(tmp_path / "one")
    assert torch.equal(torch.random.get_rng_state(), before)


def test_pre_training_on_masked_words_changes_the_first_weights(tmp_path: Path) -> None:
    pretraining = TINY.model_copy(update={"small": TINY.small.model_copy(update={"pretrain_epochs": 1})})
    build_encoder(tmp_path / "plain", "small", TEXTS, config=TINY, device="cpu")
    build_encoder(tmp_path / "trained", "small", TEXTS, config=pretraining, device="cpu")
    assert digest(tmp_path / "plain")["model.safetensors"] != digest(tmp_path / "trained")["model.safetensors"]


def test_every_chinese_character_is_a_token_and_the_pair_is_framed_as_bert_does(tmp_path: Path) -> None:
    build_encoder(tmp_path, "small", TEXTS, config=TINY, device="cpu")
    tokenizer = load_tokenizer(tmp_path)
    ids = encode(tokenizer, [Sections("左乳见肿块", "左乳")], max_tokens=24)["input_ids"][0]
    assert tokenizer.convert_ids_to_tokens(ids.tolist()) == [
        "[CLS]",
        "左",
        "乳",
        "见",
        "肿",
        "块",
        "[SEP]",
        "左",
        "乳",
        "[SEP]",
    ]


def tokens_of(folder: Path, *reports: Sections, max_tokens: int) -> list[list[str]]:
    build_encoder(folder, "small", TEXTS, config=TINY, device="cpu")
    tokenizer = load_tokenizer(folder)
    ids = encode(tokenizer, list(reports), max_tokens=max_tokens)["input_ids"].tolist()
    return [[token for token in tokenizer.convert_ids_to_tokens(row) if token != "[PAD]"] for row in ids]


def test_a_long_report_keeps_its_impression_whole_even_where_that_is_the_longer_section(tmp_path: Path) -> None:
    found = tokens_of(tmp_path, Sections("左" * 50, "乳" * 3), Sections("左" * 10, "乳" * 8), max_tokens=12)
    assert found == [["[CLS]", *"左" * 6, "[SEP]", *"乳" * 3, "[SEP]"], ["[CLS]", "左", "[SEP]", *"乳" * 8, "[SEP]"]]


def test_an_impression_too_long_for_the_room_is_cut_with_its_description(tmp_path: Path) -> None:
    (found,) = tokens_of(tmp_path, Sections("左" * 4, "乳" * 50), max_tokens=12)
    assert found == ["[CLS]", *"左" * 4, "[SEP]", *"乳" * 5, "[SEP]"]


def test_a_report_is_read_alike_whether_or_not_another_of_its_batch_is_too_long(tmp_path: Path) -> None:
    short = Sections("左乳见肿块", "")
    assert (
        tokens_of(tmp_path / "with", short, Sections("左" * 50, "右"), max_tokens=12)[0]
        == tokens_of(tmp_path / "alone", short, max_tokens=12)[0]
    )


@pytest.mark.parametrize("length", [1, 8, 9, 10, 11, 12, 13, 40])
def test_at_the_least_length_there_is_room_for_both_sections_of_any_report(length: int, tmp_path: Path) -> None:
    (found,) = tokens_of(tmp_path, Sections("左" * 50, "乳" * length), max_tokens=16)
    assert len(found) == 16
    assert found[1] == "左"
    assert found.count("[SEP]") == 2
    assert found.count("乳") >= min(length, 6)


def test_an_encoder_in_an_installed_package_is_found_without_running_the_packages_code(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    package = tmp_path / "some_encoder"
    (package / "model").mkdir(parents=True)
    (package / "__init__.py").write_text("raise AssertionError('its code was run')")
    (package / "model" / "config.json").write_text("{}")
    monkeypatch.syspath_prepend(str(tmp_path))
    with pytest.raises(UserError, match=r"^reports\.encoder: package some_encoder has 0 folders with config\.json"):
        find_encoder("package:some_encoder")
    (package / "model" / "model.safetensors").write_bytes(b"")
    assert find_encoder("package:some_encoder") == str(package / "model")


@pytest.mark.parametrize("name", ["no_such_package", "no/such", ""])
def test_a_package_that_is_not_installed_is_named(name: str) -> None:
    with pytest.raises(UserError, match=rf"^reports\.encoder: no package {name} is installed here; install it"):
        find_encoder(f"package:{name}")
