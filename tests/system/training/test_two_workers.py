"""Two processes with half a batch each take the step of one with the whole batch, however its masses are divided."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import distributed
from torch.multiprocessing.spawn import spawn
from torch.nn.parallel import DistributedDataParallel

from system.losses import LossConfig
from system.methods import METHODS, Batch
from system.nets import NetConfig
from system.training.config import AugmentConfig, TrainConfig
from system.training.epoch import Learner, run_epoch

NUM_WORKERS = 2
LOSS = LossConfig(pixel_mean="positive", report_weights=True)


def make_learner(config: TrainConfig) -> Learner:
    """Return a learner with frozen norms: those see each worker's own images."""
    torch.manual_seed(0)
    method = METHODS["btv"]
    model = method.build(NetConfig(backbone="hrnet_w18_small", pretrained=False, prior=0.1)).eval()
    groups = method.parameter_groups(model, learning_rate=config.learning_rate, class_factor=config.class_factor)
    return Learner(method, model, torch.optim.Adam(groups), None, config, LOSS, torch.device("cpu"))


def step(learner: Learner, batch: Batch) -> dict[str, float]:
    """Return the losses and the gradient's norm of one step."""
    found = run_epoch(learner, [batch], epoch=0, steps_per_epoch=1)
    return found.losses | {"gradient": found.gradient_norm}


def share_of(batch: Batch, *, rank: int) -> Batch:
    part = batch.parts(len(batch.main) // NUM_WORKERS)[rank]
    sizes = {name: size / NUM_WORKERS for name, size in batch.targets.group_sizes.items()}
    return replace(part, targets=replace(part.targets, group_sizes=sizes))


def work(rank: int, folder: str, batch: Batch, config: TrainConfig) -> None:
    torch.set_num_threads(1)
    distributed.init_process_group("gloo", init_method=f"file://{folder}/meet", rank=rank, world_size=NUM_WORKERS)
    learner = make_learner(config)
    wrapped = replace(learner, model=DistributedDataParallel(learner.model))
    Path(folder, f"{rank}.json").write_text(json.dumps(step(wrapped, share_of(batch, rank=rank))))
    distributed.destroy_process_group()


@pytest.mark.slow
def test_all_masses_at_one_worker_count_as_if_they_were_divided(
    make_batch: Callable[..., Batch], still: AugmentConfig, tmp_path: Path
) -> None:
    """Every second image has a mass, and every second image goes to the second worker."""
    config = TrainConfig(learning_rate=1e-3, class_factor=1.0, precision="fp32", gradient_norm=1e6, augment=still)
    batch = make_batch(1)
    assert not share_of(batch, rank=1).targets.mask.any()
    expected = step(make_learner(config), batch)
    spawn(work, (str(tmp_path), batch, config), nprocs=NUM_WORKERS)
    for rank in range(NUM_WORKERS):
        assert json.loads((tmp_path / f"{rank}.json").read_text()) == pytest.approx(expected, rel=1e-4)
