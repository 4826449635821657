"""The learning-rate plan, as a pure function of epoch and step."""

import math

from system.training.config import TrainConfig


def rate_factor(config: TrainConfig, *, epoch: int, step: int, steps_per_epoch: int) -> float:
    """Return the factor of the learning rate at a step.

    epoch: from 0
    step: from 0, within the epoch
    """
    warm = min(1.0, (epoch * steps_per_epoch + step + 1) / config.warmup_steps) if config.warmup_steps else 1.0
    match config.plan:
        case "step":
            return warm * config.decay_factor ** (epoch // config.decay_every_epochs)
        case "cosine":
            return warm * 0.5 * (1 + math.cos(math.pi * (epoch + step / steps_per_epoch) / config.num_epochs))
        case "constant":
            return warm
