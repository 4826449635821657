"""What the tests of training share: small batches, jobs, and a learner like that of a training worker."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from system.losses import LossConfig, Targets
from system.methods import METHODS, Batch
from system.nets import NetConfig
from system.training.config import AugmentConfig, TrainConfig
from system.training.epoch import Learner
from system.training.job import TrainJob

SIZE = 32
STILL = AugmentConfig(flip_horizontal=0, flip_vertical=0, rotation_deg=0, scale=0, shift=0, noise_sd=0, gain=0)

MakeBatch = Callable[..., Batch]
MakeLearner = Callable[..., Learner]
MakeJob = Callable[..., TrainJob]


@pytest.fixture(scope="session")
def still() -> AugmentConfig:
    """Return the augmentation that changes nothing."""
    return STILL


@pytest.fixture(scope="session")
def make_batch() -> MakeBatch:
    """Return a maker of batches of strong samples, every second with a bright square as its mass."""

    def make(seed: int, *, count: int = 4, size: int = SIZE) -> Batch:
        generator = torch.Generator().manual_seed(seed)
        main = torch.rand((count, 1, size, size), generator=generator) * 0.5 + 0.01
        auxiliary = torch.rand((count, 1, size, size), generator=generator) * 0.5 + 0.01
        mask = torch.zeros((count, 1, size // 4, size // 4))
        main[::2, :, 8:24, 8:24] += 0.4
        mask[::2, :, 2:6, 2:6] = 1
        chosen = torch.ones(count, dtype=torch.bool)
        sizes = {"mask_strong": float(count), "class_strong": float(count), "mask_weak": 0.0, "class_weak": 0.0}
        targets = Targets(mask, mask.amax(dim=(1, 2, 3)), chosen, chosen, sizes)
        return Batch(main, auxiliary, targets, torch.arange(count) + 100 * seed, torch.arange(count) + 1000)

    return make


@pytest.fixture(scope="session")
def make_learner() -> MakeLearner:
    """Return a maker of learners like those of pipelines.workers.train_loop, without Ray."""

    def make(
        config: TrainConfig, *, weights_seed: int = 0, prior: float = 0.1, backbone: str = "hrnet_w18_small"
    ) -> Learner:
        torch.manual_seed(weights_seed)
        method = METHODS["btv"]
        model = method.build(NetConfig(backbone=backbone, pretrained=False, prior=prior))
        model.train().to(memory_format=torch.channels_last)
        groups = method.parameter_groups(
            model,
            learning_rate=config.learning_rate,
            class_factor=config.class_factor,
            backbone_factor=config.backbone_factor,
        )
        average = (
            AveragedModel(model, multi_avg_fn=get_ema_multi_avg_fn(config.ema_decay), use_buffers=False)
            if config.ema_decay
            else None
        )
        return Learner(
            method,
            model,
            torch.optim.AdamW(groups, weight_decay=config.weight_decay),
            average,
            config,
            LossConfig(),
            torch.device("cpu"),
        )

    return make


@pytest.fixture(scope="session")
def make_job() -> MakeJob:
    """Return a maker of jobs on strong data alone; keyword arguments replace its fields."""

    def make(**changes: Any) -> TrainJob:
        fields: dict[str, Any] = {
            "name": "test",
            "archive_uri": "/no/archive",
            "archive_versions": {"images": 3, "masks": 1},
            "method": "btv",
            "net": NetConfig(backbone="hrnet_w18_small", pretrained=False),
            "train": TrainConfig(batch_size=6, negatives_per_positive=2),
            "loss": LossConfig(),
            "strong_share": 1.0,
            "seed": 4,
        }
        return TrainJob(**fields | changes)

    return make
