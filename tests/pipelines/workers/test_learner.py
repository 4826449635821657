"""What a training worker trains with, made without Ray."""

import pytest
import torch
from torch import nn

from pipelines.workers import train_loop
from system.losses import LossConfig
from system.nets import NetConfig
from system.training.config import TrainConfig
from system.training.epoch import Learner
from system.training.job import TrainJob


@pytest.fixture
def alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """Stand for a worker without others on a CPU."""
    monkeypatch.setattr(train_loop, "get_device", lambda: torch.device("cpu"))
    monkeypatch.setattr(train_loop, "prepare_model", lambda model, **_: model)


def learner_of(train: TrainConfig, net: NetConfig) -> Learner:
    job = TrainJob(
        name="test",
        archive_uri="/no/archive",
        archive_versions={},
        method="btv",
        net=net,
        train=train,
        loss=LossConfig(),
        strong_share=1.0,
        seed=4,
    )
    return train_loop._make_learner(job)


NET = NetConfig(backbone="resnet18", pretrained=False)


def test_the_optimiser_decays_weights_and_slows_the_backbone_as_the_config_says(alone: None) -> None:
    learner = learner_of(TrainConfig(class_factor=1.0, backbone_factor=0.3, weight_decay=1e-4), NET)
    assert isinstance(learner.optimizer, torch.optim.AdamW)
    assert [group["weight_decay"] for group in learner.optimizer.param_groups] == [1e-4] * 3
    assert [group["factor"] for group in learner.optimizer.param_groups] == [1.0, 0.3, 1.0]


def test_without_decay_a_step_is_adams(alone: None) -> None:
    learner, other = learner_of(TrainConfig(), NET), learner_of(TrainConfig(), NET)
    adam = torch.optim.Adam([dict(group) for group in other.optimizer.param_groups])
    for model, optimizer in ((learner.model, learner.optimizer), (other.model, adam)):
        for parameter in model.parameters():
            parameter.grad = torch.full_like(parameter, 0.1) if parameter.requires_grad else None
        optimizer.step()
    weights = zip(learner.model.parameters(), other.model.parameters(), strict=True)
    assert all(torch.equal(found, expected) for found, expected in weights)


def test_what_is_frozen_stays_in_eval_mode_in_a_worker(alone: None) -> None:
    learner = learner_of(TrainConfig(), NET.changed(frozen_blocks=1))
    norms = {name: module for name, module in learner.model.named_modules() if isinstance(module, nn.BatchNorm2d)}
    evaluated = {name for name, module in norms.items() if not module.training}
    assert evaluated == {name for name in norms if name.startswith(("trunk.net.bn1", "trunk.net.layer1."))}
