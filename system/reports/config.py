"""Every setting of the report models: which encoder, how it is taught, and what it may use of the machine."""

from typing import Self

from pydantic import Field

from system.settings import Settings


class SmallEncoderConfig(Settings):
    """The ModernBERT built from nothing when `encoder` is "small": its vocabulary and first weights come from the reports themselves."""

    hidden_size: int = Field(default=48, ge=8, description="width of a token's vector; a multiple of num_heads")
    num_layers: int = Field(default=1, ge=1)
    window_tokens: int = Field(default=16, ge=2, description="tokens a token attends to, half on either side")
    dropout: float = Field(
        default=0.0, ge=0, lt=1, description="share of activations silenced; with a few hundred reports it slows more than it helps"
    )
    num_heads: int = Field(default=4, ge=1)
    vocabulary_size: int = Field(default=1500, ge=64, description="WordPiece tokens at most; Chinese characters are one token each")
    pretrain_epochs: int = Field(default=0, ge=0, description="passes of masked language modelling over all reports; 0 = none")
    pretrain_learning_rate: float = Field(default=1e-3, gt=0)
    masked_share: float = Field(default=0.15, gt=0, lt=1, description="share of tokens to be guessed in pre-training")


class ReportConfig(Settings):
    """Mammo-RoBERTa (seed 000, section 3.1): defaults are the paper's encoder, fine-tuned in the usual way."""

    encoder: str = Field(
        default="hfl/chinese-roberta-wwm-ext", min_length=1, description='hub id, local folder, or "small" (built from the reports)'
    )
    small: SmallEncoderConfig = SmallEncoderConfig()
    num_folds: int = Field(default=3, ge=2, description="folds over the labelled reports, by patient; two sides x folds models in all")
    epochs: int = Field(default=5, ge=1, description="passes over a fold's teaching reports, at most")
    validation_share: float = Field(
        default=0.1, ge=0, le=0.5, description="share of a fold's teaching patients that say when to stop; 0 = teach all epochs"
    )
    patience_epochs: int = Field(default=2, ge=1, description="epochs without a lower loss on these patients before teaching stops")
    learning_rate: float = Field(default=2e-5, gt=0, description="AdamW's, at the end of the warm-up")
    warmup_share: float = Field(default=0.1, ge=0, lt=1, description="share of the steps in which the rate rises from 0")
    weight_decay: float = Field(default=0.01, ge=0)
    batch_size: int = Field(default=16, ge=1, description="reports in a training step")
    max_tokens: int = Field(default=256, ge=8, le=512, description="tokens of [CLS] description [SEP] impression [SEP]")
    max_chars: int = Field(default=4000, ge=16, description="characters kept of each section before it is cut into tokens")
    label_smoothing: float = Field(
        default=0.0, ge=0, lt=1, description="share of a report's truth that is spread over both classes, since some reports are wrong"
    )
    class_weights: bool = Field(default=False, description="weigh both classes equally in the loss, however rare masses are")
    mirrored: bool = Field(default=True, description="also teach each report with left and right exchanged, and the other breast's truth")
    section_dropout: float = Field(
        default=0.0, ge=0, le=1, description="share of teaching steps at which a report lacks one of its sections"
    )
    labelled_share: float = Field(default=1.0, gt=0, le=1, description="share of the labelled patients whose reports teach")
    seed: int = Field(default=0, ge=0, description="of folds, first weights, order and dropout")
    fit_cpus: float = Field(default=1.0, gt=0, description="CPUs a fine-tune asks of Ray")
    fit_gpus: float = Field(default=0.0, ge=0, description="GPUs a fine-tune asks of Ray; 0.5 and 0.25 are the fractions that work")
    fits_at_once: int = Field(default=6, ge=1, description="fine-tunes side by side at most; each is a process that imports torch")
    num_labelers: int = Field(default=1, ge=1, description="Labeler actors")
    labeler_cpus: float = Field(default=0.5, gt=0, description="CPUs a Labeler asks of Ray")
    labeler_gpus: float = Field(default=0.0, ge=0, description="GPUs a Labeler asks of Ray")
    label_batch_size: int = Field(default=64, ge=1, description="reports in a labelling batch")

    @classmethod
    def small_encoder(cls, **changes: object) -> Self:
        """Return the settings for an encoder built from the reports: what a demo or a test can afford on two cores.

        All reports teach, and for all epochs: those that would say when to stop are missed more than they help where there are few.
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
            "fits_at_once": 2,
        }
        return cls.model_validate(settings | changes)
