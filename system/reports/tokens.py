"""Turn reports into token ids, with the encoder's own tokenizer or one learned from the reports."""

from collections import Counter
from pathlib import Path

import torch
from tokenizers import Tokenizer
from tokenizers.models import WordPiece
from tokenizers.normalizers import BertNormalizer
from tokenizers.pre_tokenizers import BertPreTokenizer
from tokenizers.processors import BertProcessing
from transformers import AutoTokenizer, BatchEncoding, PreTrainedTokenizerFast

from system.reports.text import Sections

_SPECIAL = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")  # BERT's, in the order of its ids


def learn_vocabulary(texts: list[Sections], *, size: int, max_tokens: int) -> PreTrainedTokenizerFast:
    """Return a WordPiece tokenizer of the reports.

    Its vocabulary is every character, alone and inside a word, and the most frequent words up to `size`. BERT's
    normaliser separates all Chinese characters. The trainer of `tokenizers` breaks ties at random, so the same reports
    give other ids each time; this function gives the same ids.
    """
    normalizer = BertNormalizer(lowercase=True, handle_chinese_chars=True, strip_accents=False)
    splitter = BertPreTokenizer()
    parts = (part for text in texts for part in (text.description, text.impression))
    words = Counter(word for part in parts for word, _ in splitter.pre_tokenize_str(normalizer.normalize_str(part)))
    characters = sorted({character for word in words for character in word})
    inside = [f"##{character}" for character in sorted({character for word in words for character in word[1:]})]
    frequent = [
        word
        for word, count in sorted(words.items(), key=lambda item: (-item[1], item[0]))
        if count > 1 and len(word) > 1
    ]
    vocabulary = [*_SPECIAL, *characters, *inside]
    vocabulary += frequent[: max(0, size - len(vocabulary))]
    pieces = Tokenizer(WordPiece({token: index for index, token in enumerate(vocabulary)}, unk_token="[UNK]"))
    pieces.normalizer, pieces.pre_tokenizer = normalizer, splitter
    pieces.post_processor = BertProcessing(("[SEP]", _SPECIAL.index("[SEP]")), ("[CLS]", _SPECIAL.index("[CLS]")))
    return PreTrainedTokenizerFast(
        tokenizer_object=pieces,
        model_max_length=max_tokens,
        pad_token="[PAD]",
        unk_token="[UNK]",
        cls_token="[CLS]",
        sep_token="[SEP]",
        mask_token="[MASK]",
        model_input_names=["input_ids", "attention_mask"],
    )


def load_tokenizer(folder: Path) -> PreTrainedTokenizerFast:
    """Return the tokenizer of a folder."""
    return AutoTokenizer.from_pretrained(folder, local_files_only=True)


def encode(tokenizer: PreTrainedTokenizerFast, reports: list[Sections], *, max_tokens: int) -> dict[str, torch.Tensor]:
    """Return [CLS] description [SEP] impression [SEP] for each report, padded to the longest.

    A report that is too long loses the end of its description: the impression is the radiologist's own summary of it.
    Only an impression that would leave the description less than a quarter of the room is cut too, longest first.

    Returns input_ids, attention_mask (and token_type_ids where the encoder has them): [B, T] int64.
    """
    descriptions, impressions = [report.description for report in reports], [report.impression for report in reports]
    whole = tokenizer(descriptions, impressions, truncation="longest_first", max_length=max_tokens)
    if any(len(ids) == max_tokens for ids in whole["input_ids"]):
        whole = _keep_impressions(tokenizer, descriptions, impressions, max_tokens=max_tokens)
    return dict(tokenizer.pad(whole, return_tensors="pt"))


def _keep_impressions(
    tokenizer: PreTrainedTokenizerFast, descriptions: list[str], impressions: list[str], *, max_tokens: int
) -> BatchEncoding:
    """Return the pairs cut to max_tokens, not yet padded."""
    lengths = [len(ids) for ids in tokenizer(impressions, add_special_tokens=False)["input_ids"]]
    pairs: list[BatchEncoding] = []
    for description, impression, length in zip(descriptions, impressions, lengths, strict=True):
        cut = "only_first" if length <= 3 * max_tokens // 4 else "longest_first"
        # lists, so that an empty impression stays a section
        pairs.append(tokenizer([description], [impression], max_length=max_tokens, truncation=cut))
    return BatchEncoding({name: [pair[name][0] for pair in pairs] for name in pairs[0]})
