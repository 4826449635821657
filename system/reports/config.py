"""The settings of the report models: which encoder, and how it is fine-tuned."""

from typing import Self

from pydantic import Field

from system.reports.rule_rates import LabelSource
from system.settings import Settings


class SmallEncoderConfig(Settings):
    """The ModernBERT that is built when `encoder` is "small"; vocabulary and first weights come from the reports."""

    hidden_size: int = Field(default=48, ge=8, description="width of a token's vector; a multiple of num_heads")
    num_layers: int = Field(default=1, ge=1)
    window_tokens: int = Field(default=16, ge=2, description="tokens a token attends to, half on either side")
    dropout: float = Field(
        default=0.0,
        ge=0,
        lt=1,
        description="share of activations set to 0; with a few hundred reports it slows more than it helps",
    )
    num_heads: int = Field(default=4, ge=1)
    vocabulary_size: int = Field(
        default=1500, ge=64, description="WordPiece tokens at most; Chinese characters are one token each"
    )
    pretrain_epochs: int = Field(
        default=0, ge=0, description="passes of masked language modelling over all reports; 0 = none"
    )
    pretrain_learning_rate: float = Field(default=1e-3, gt=0)
    masked_share: float = Field(default=0.15, gt=0, lt=1, description="share of tokens that pre-training masks")


class ReportConfig(Settings):
    """Mammo-RoBERTa (Tang et al. 2021, section 3.2).

    The defaults are what the paper prints, and a usual fine-tuning where it prints nothing; `recommended` is ours.
    """

    encoder: str = Field(
        default="hfl/chinese-roberta-wwm-ext",
        min_length=1,
        description='hub id, local folder, "package:" and an installed package, or "small" (built from the reports)',
    )
    small: SmallEncoderConfig = SmallEncoderConfig()
    num_folds: int = Field(
        default=3, ge=2, description="folds over the annotated reports, by patient; two sides x folds models in all"
    )
    epochs: int = Field(default=5, ge=1, description="passes over a fold's training reports, at most")
    validation_share: float = Field(
        default=0.0,
        ge=0,
        le=0.5,
        description="share of a fold's training patients used for early stopping only; 0 = train all epochs",
    )
    patience_epochs: int = Field(
        default=2, ge=1, description="epochs without a lower loss on these patients before fine-tuning stops"
    )
    learning_rate: float = Field(default=2e-5, gt=0, description="AdamW's, at the end of the warm-up")
    warmup_share: float = Field(
        default=0.1, ge=0, lt=1, description="share of the steps in which the rate rises from 0"
    )
    weight_decay: float = Field(default=0.01, ge=0)
    batch_size: int = Field(default=16, ge=1, description="reports in a training step")
    max_tokens: int = Field(
        default=512,
        ge=16,
        le=512,
        description="tokens of [CLS] description [SEP] impression [SEP]; a longer report is cut",
    )
    max_chars: int = Field(
        default=4000, ge=16, description="characters kept of each section before it is cut into tokens"
    )
    label_smoothing: float = Field(
        default=0.0,
        ge=0,
        lt=1,
        description="share of a report's truth that is spread over both classes, since some reports are wrong",
    )
    class_weights: bool = Field(
        default=False, description="weigh both classes equally in the loss, however rare masses are"
    )
    mirrored: bool = Field(
        default=False,
        description="also train on each report with left and right exchanged, and the other breast's truth",
    )
    pooler: bool = Field(
        default=False,
        description="keep the layer that transformers puts between the encoder's hidden vector and the linear layer "
        "(BERT's pooler: linear, tanh); eq. 2 has none",
    )
    calibrated: bool = Field(
        default=False,
        description="divide each model's margins by a temperature fitted on its held-out fold before the mean; "
        "False = the mean of the probabilities as they are",
    )
    section_dropout: float = Field(
        default=0.0, ge=0, le=1, description="share of reports in a training step that lack one of their sections"
    )
    annotated_share: float = Field(
        default=1.0, gt=0, le=1, description="share of the annotated patients whose reports train the models"
    )
    labels: LabelSource = Field(
        default="models",
        description="which labels the loop gets: the models', those of the keyword rules, or the mean of both",
    )
    seed: int = Field(default=0, ge=0, description="of folds, first weights, order and dropout")
    label_batch_size: int = Field(default=64, ge=1, description="reports in a labelling batch")

    @classmethod
    def recommended(cls, **changes: object) -> Self:
        """Return the paper's settings with what we put on top of them (docs/method.md, Report models).

        Mirrored reports, a tenth of the training patients for early stopping, calibrated probabilities, the pooler
        that transformers puts there, and half the length, which takes less than half the time.
        """
        settings: dict[str, object] = {
            "mirrored": True,
            "validation_share": 0.1,
            "max_tokens": 256,
            "calibrated": True,
            "pooler": True,
        }
        return cls.model_validate(settings | changes)

    @classmethod
    def small_encoder(cls, **changes: object) -> Self:
        """Return the settings for an encoder built from the reports: what a demo or a test can afford on two cores.

        All reports train, and for all epochs: where there are few, keeping some for early stopping costs more than it
        gains.
        """
        settings: dict[str, object] = {
            "encoder": "small",
            "epochs": 24,
            "validation_share": 0.0,
            "section_dropout": 0.7,
            "label_smoothing": 0.2,
            "learning_rate": 5e-3,
            "weight_decay": 0.1,
            "batch_size": 8,
            "max_tokens": 192,
        }
        return cls.recommended(**(settings | changes))
