"""The layer between the encoder's hidden vector and the two logits: taken out where eq. 2 is meant as printed.

Tang et al. 2021, eq. 2 has the logits as a linear function of the last hidden vector of [CLS]. The classifiers of
transformers put one more layer in between: BERT its pooler (linear, tanh), RoBERTa and ModernBERT a fresh layer of
their own. The linear layer keeps its bias, and the dropout before it.
"""

from collections.abc import Callable
from typing import Any

from torch import Tensor, nn
from transformers import PreTrainedModel

from system.errors import UserError

_KEY = "straight_head"  # in a model's config.json: load_classifier takes the layer out again


class _FirstVector(nn.Module):
    """BERT's pooler without its layer."""

    def forward(self, hidden: Tensor) -> Tensor:
        """Return the first token's vector, [B, H]. hidden: [B, T, H] float."""
        return hidden[:, 0]


class _LinearOnFirstVector(nn.Module):
    """RoBERTa's head without its layer; the names are those of its weights."""

    def __init__(self, head: Any) -> None:
        super().__init__()
        self.dropout, self.out_proj = head.dropout, head.out_proj

    def forward(self, hidden: Tensor, **_: object) -> Tensor:
        """Return the logits, [B, 2]. hidden: [B, T, H] float."""
        return self.out_proj(self.dropout(hidden[:, 0]))


def _bert(model: Any) -> None:
    model.bert.pooler = _FirstVector()


def _roberta(model: Any) -> None:
    model.classifier = _LinearOnFirstVector(model.classifier)


def _modernbert(model: Any) -> None:
    model.head = nn.Identity()  # behind it the [CLS] vector or the mean of all, as its classifier_pooling says


_TAKE_OUT: dict[str, Callable[[Any], None]] = {
    "bert": _bert,
    "roberta": _roberta,
    "xlm-roberta": _roberta,
    "modernbert": _modernbert,
}


def set_head(model: PreTrainedModel, *, pooler: bool) -> None:
    """Keep the layer between hidden vector and logits of a classifier as transformers made it, or take it out in place.

    The choice is kept in the model's config, so that a folder it is saved into gives the same model back.
    Raises UserError for a kind of encoder whose layer is not known here.
    """
    if pooler:
        if is_straight(model):
            setattr(model.config, _KEY, False)
        return
    kind = model.config.model_type
    if kind not in _TAKE_OUT:
        raise UserError(
            f"reports.pooler=false: an encoder of type {kind!r} has a classifier that is not known here (known: "
            f"{', '.join(_TAKE_OUT)}); set reports.pooler=true to fine-tune it as transformers makes it"
        )
    _TAKE_OUT[kind](model)
    setattr(model.config, _KEY, True)


def is_straight(model: PreTrainedModel) -> bool:
    """Return whether the config says that the linear layer stands straight on the hidden vector."""
    return bool(getattr(model.config, _KEY, False))
