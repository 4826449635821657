"""How a stage trains: length, batches, rates, augmentation, precision."""

from typing import Literal

from pydantic import Field

from system.settings import Settings


class AugmentConfig(Settings):
    """Random changes, the same for main, auxiliary and mask (Tang et al. 2021, section 4.2)."""

    flip_horizontal: float = Field(default=0.5, ge=0, le=1)  # probability of a mirror image, left for right
    flip_vertical: float = Field(default=0.5, ge=0, le=1)  # probability of a mirror image, up for down
    rotation_deg: float = Field(default=15.0, ge=0, le=180)  # largest, either way
    scale: float = Field(default=0.1, ge=0, lt=1)  # largest relative change of size, either way
    shift: float = Field(default=0.0, ge=0, lt=1)  # largest shift as a share of the image, either way; ours
    noise_sd: float = Field(default=0.01, ge=0)  # of full scale
    gain: float = Field(default=0.0, ge=0, lt=1)  # largest relative change of brightness, either way; ours
    # Gray values x become x ** g, ln g drawn evenly between -ln(1 + gamma) and ln(1 + gamma); 0 = they stay; ours
    gamma: float = Field(default=0.0, ge=0)


class StrongInBatch(Settings):
    """The places of a batch that annotated images hold beside mined ones; the paper draws both together.

    Null: as many as fall to them when all samples of a class are drawn together.
    """

    positives: float | None = Field(default=None, ge=0, le=1)  # share of the positive places
    negatives: float | None = Field(default=None, ge=0, le=1)  # share of the negative places


class TrainConfig(Settings):
    """One training; the defaults are Stage 1 of Tang et al. 2021, section 4.2."""

    num_epochs: int = Field(default=50, ge=1)
    steps_per_epoch: int = Field(default=0, ge=0)  # 0 = as many as show every positive once
    batch_size: int = Field(default=24, ge=1)  # over all workers together
    # Images of a worker in one forward pass, gradients summed over the passes; 0 = all.
    micro_batch_size: int = Field(default=0, ge=0)
    negatives_per_positive: int = Field(default=5, ge=0)
    learning_rate: float = Field(default=1e-4, gt=0)
    plan: Literal["step", "cosine", "constant"] = "step"
    decay_every_epochs: int = Field(default=10, ge=1)  # step plan
    decay_factor: float = Field(default=0.2, gt=0, le=1)  # step plan: times this at each decay
    warmup_steps: int = Field(default=0, ge=0)
    # Rate of the image-level branch relative to the rest; 0 = the branch is not trained.
    class_factor: float = Field(default=0.0, ge=0)
    # Rate of the modules that start from ImageNet's weights relative to that of decoder, join and mask head.
    backbone_factor: float = Field(default=1.0, gt=0)
    weight_decay: float = Field(default=0.0, ge=0)  # of AdamW, for all that learns; 0 = AdamW is Adam
    gradient_norm: float = Field(default=0.0, ge=0)  # clipped at this L2 norm; 0 = not clipped
    precision: Literal["auto", "fp32", "bf16"] = "auto"  # auto = bf16 where the hardware is faster with it
    ema_decay: float = Field(default=0.0, ge=0, lt=1)  # moving average of the weights; 0 = off
    synced_norms: bool = False  # batch norms over all workers' images instead of each worker's own
    compile: bool = False  # torch.compile the network
    # The network is measured on validation after each epoch; after so many without a rise training ends, and the best
    # epoch's weights are kept. 0 = never measured: all epochs, the last one's weights.
    patience_epochs: int = Field(default=0, ge=0)
    max_bad_steps: int = Field(default=10, ge=1)  # steps in a row without a finite loss before training stops
    augment: AugmentConfig = AugmentConfig()
