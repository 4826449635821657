"""Turn reports into token ids, with the encoder's own tokenizer or one learned from the reports."""

from collections import Counter
from pathlib import Path

import torch
from tokenizers import Tokenizer
from tokenizers.models import WordPiece
from tokenizers.normalizers import BertNormalizer
from tokenizers.pre_tokenizers import BertPreTokenizer
from tokenizers.processors import BertProcessing
from transformers import AutoTokenizer, PreTrainedTokenizerFast

from system.reports.text import Sections

_SPECIAL = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")  # BERT's, in the order of its ids


def learn_vocabulary(texts: list[Sections], *, size: int, max_tokens: int) -> PreTrainedTokenizerFast:
    """Return a WordPiece tokenizer of the reports: every character, alone and inside a word, and the most frequent words up to a size.

    BERT's normaliser sets every Chinese character apart. The trainer of `tokenizers` breaks ties at random, so that the same reports
    give other ids each time; this does not.
    """
    normalizer, splitter = BertNormalizer(lowercase=True, handle_chinese_chars=True, strip_accents=False), BertPreTokenizer()
    parts = (part for text in texts for part in (text.description, text.impression))
    words = Counter(word for part in parts for word, _ in splitter.pre_tokenize_str(normalizer.normalize_str(part)))
    characters = sorted({character for word in words for character in word})
    inside = [f"##{character}" for character in sorted({character for word in words for character in word[1:]})]
    frequent = [word for word, count in sorted(words.items(), key=lambda item: (-item[1], item[0])) if count > 1 and len(word) > 1]
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

    What is too long loses the ends of its longer section first, so a short impression is kept whole.
    Returns input_ids, attention_mask (and token_type_ids where the encoder has them): [B, T] int64.
    """
    return dict(
        tokenizer(
            [report.description for report in reports],
            [report.impression for report in reports],
            truncation="longest_first",
            max_length=max_tokens,
            padding=True,
            return_tensors="pt",
        )
    )
