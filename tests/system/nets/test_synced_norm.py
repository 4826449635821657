"""Two processes with half a batch each compute the norms, gradients and running means of one with the whole batch."""

from pathlib import Path

import torch
from timm.layers import BatchNormAct2d
from torch import distributed, nn
from torch.multiprocessing.spawn import spawn
from torch.nn.parallel import DistributedDataParallel

from system.nets import with_synced_norms

NUM_WORKERS = 2


def make_net() -> nn.Sequential:
    torch.manual_seed(5)
    net = nn.Sequential(
        nn.Conv2d(1, 4, 3),
        nn.BatchNorm2d(4),
        nn.ReLU(),
        nn.Conv2d(4, 4, 3),
        BatchNormAct2d(4, act_layer=nn.SiLU),  # timm's, as DenseNet has them
        nn.Conv2d(4, 2, 3),
        nn.BatchNorm2d(2),
    )
    return net.double()


def make_images() -> torch.Tensor:
    spread = torch.arange(1, 7, dtype=torch.float64).view(6, 1, 1, 1)  # each image on a scale of its own
    return spread * torch.randn((6, 1, 9, 9), generator=torch.Generator().manual_seed(1), dtype=torch.float64)


def make_bright() -> torch.Tensor:
    """Return values far from zero in few bits: a mean rounded to those bits is wrong by much of their spread."""
    return (100 + torch.randn((6, 1, 9, 9), generator=torch.Generator().manual_seed(2))).bfloat16()


def learnt(net: nn.Module, images: torch.Tensor, *, num_workers: int) -> dict[str, torch.Tensor]:
    """Return gradients and running means after a step whose loss is a sum; DDP divides gradients by the workers."""
    (num_workers * net(images).square().sum()).backward()
    inner = net.module if isinstance(net, DistributedDataParallel) else net
    gradients = {name: value.grad for name, value in inner.named_parameters() if value.grad is not None}
    return gradients | dict(inner.named_buffers())


def work(rank: int, folder: str) -> None:
    distributed.init_process_group("gloo", init_method=f"file://{folder}/meet", rank=rank, world_size=NUM_WORKERS)
    found = learnt(
        DistributedDataParallel(with_synced_norms(make_net())),
        make_images()[rank::NUM_WORKERS],
        num_workers=NUM_WORKERS,
    )
    bright = with_synced_norms(nn.Sequential(nn.BatchNorm2d(1)))(make_bright()[rank::NUM_WORKERS])
    torch.save(found | {"bright": bright.detach()}, f"{folder}/{rank}.pt")
    distributed.destroy_process_group()


def test_two_workers_normalise_as_one(tmp_path: Path) -> None:
    expected = learnt(make_net(), make_images(), num_workers=1)
    bright = nn.BatchNorm2d(1)(make_bright()).detach()

    spawn(work, (str(tmp_path),), nprocs=NUM_WORKERS)
    for rank in range(NUM_WORKERS):
        found = torch.load(tmp_path / f"{rank}.pt")
        torch.testing.assert_close(found.pop("bright"), bright[rank::NUM_WORKERS], rtol=1e-2, atol=1e-2)
        assert found.keys() == expected.keys()
        for name, value in expected.items():
            torch.testing.assert_close(found[name], value, rtol=1e-9, atol=1e-9)


def test_the_state_dict_stays_that_of_a_plain_network() -> None:
    assert with_synced_norms(make_net()).state_dict().keys() == make_net().state_dict().keys()


def test_a_norm_with_an_activation_keeps_it_when_nothing_is_trained() -> None:
    images, net = make_images(), make_net().eval()
    expected = net(images)
    torch.testing.assert_close(with_synced_norms(net)(images), expected)
