"""Two processes with half a batch each see the norms, gradients and running means of one process with the whole."""

from pathlib import Path

import torch
from torch import distributed, nn
from torch.multiprocessing.spawn import spawn
from torch.nn.parallel import DistributedDataParallel

from system.nets import with_synced_norms

NUM_WORKERS = 2


def make_net() -> nn.Sequential:
    torch.manual_seed(5)
    net = nn.Sequential(nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.Conv2d(4, 2, 3), nn.BatchNorm2d(2))
    return net.double()


def make_images() -> torch.Tensor:
    spread = torch.arange(1, 7, dtype=torch.float64).view(6, 1, 1, 1)  # each image on a scale of its own
    return spread * torch.randn((6, 1, 9, 9), generator=torch.Generator().manual_seed(1), dtype=torch.float64)


def learn(net: nn.Module, images: torch.Tensor) -> None:
    net(images).square().sum().backward() if images.shape[0] == 6 else (NUM_WORKERS * net(images).square().sum()).backward()


def work(rank: int, folder: str) -> None:
    distributed.init_process_group("gloo", init_method=f"file://{folder}/meet", rank=rank, world_size=NUM_WORKERS)
    net = with_synced_norms(make_net())
    learn(DistributedDataParallel(net), make_images()[rank::NUM_WORKERS])
    torch.save({name: value.grad for name, value in net.named_parameters()} | dict(net.named_buffers()), f"{folder}/{rank}.pt")
    distributed.destroy_process_group()


def test_two_workers_norm_as_one(tmp_path: Path) -> None:
    whole = make_net()
    learn(whole, make_images())
    expected = {name: value.grad for name, value in whole.named_parameters()} | dict(whole.named_buffers())

    spawn(work, (str(tmp_path),), nprocs=NUM_WORKERS)
    for rank in range(NUM_WORKERS):
        found = torch.load(tmp_path / f"{rank}.pt")
        assert found.keys() == expected.keys()
        for name, value in expected.items():
            torch.testing.assert_close(found[name], value, rtol=1e-9, atol=1e-9)


def test_the_state_dict_stays_that_of_a_plain_network() -> None:
    assert with_synced_norms(make_net()).state_dict().keys() == make_net().state_dict().keys()
