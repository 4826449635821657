"""What bf16 autocast brings on this machine's CPU, by backbone: time of fp32 over time of bf16, forward and a step.

python benchmarks/precision.py
python benchmarks/precision.py --backbones tf_efficientnet_lite0 --decoder-width 64 --frozen-blocks 2

Above 1 bf16 is faster. The last lines are depthwise convolutions alone: bf16 gains little forward and loses backward,
so `precision: auto` trains backbones that have them (EfficientNet, MobileNet) in fp32 on CPUs, and uses them in bf16.
Both precisions take turns, and CPU seconds are counted, so that other work on the machine does not matter. One thread.
"""

import argparse
import statistics
import time
from collections.abc import Callable

import torch
from torch import Tensor, nn

from system.nets import BilateralTwoViewNet, NetConfig, has_depthwise

DEPTHWISE = ((32, 128, 3), (96, 64, 3), (144, 64, 5), (480, 16, 5))
"""Channels, edge of the maps in pixels, kernel of some depthwise layers of EfficientNet Lite0."""


def main() -> None:
    """Print one line a backbone: the medians of the ratios."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--backbones", nargs="+", default=["hrnet_w18_small", "resnet18", "tf_efficientnet_lite0"])
    parser.add_argument("--decoder-width", type=int, default=128)
    parser.add_argument("--frozen-blocks", type=int, default=0)
    parser.add_argument("--size", default="256x224", help="rows x columns of a view")
    parser.add_argument("--pairs", type=int, default=6, help="pairs in a pass")
    parser.add_argument("--repeats", type=int, default=5)
    args = parser.parse_args()
    torch.set_num_threads(1)
    height, width = map(int, args.size.split("x"))
    main_views, others = torch.rand(2, args.pairs, 1, height, width)
    for name in args.backbones:
        config = NetConfig(
            backbone=name, pretrained=False, decoder_width=args.decoder_width, frozen_blocks=args.frozen_blocks
        )
        net = BilateralTwoViewNet(config).to(memory_format=torch.channels_last)
        forward = ratio(lambda net=net: look(net.eval(), main_views, others), repeats=args.repeats)
        step = ratio(lambda net=net: descend(net.train(), main_views, others), repeats=args.repeats)
        kind = "with depthwise" if has_depthwise(net) else "without depthwise"
        print(f"{name}, {kind}, {args.size}: fp32 / bf16 time: forward {forward:.2f}, step {step:.2f}")
    for channels, edge_px, kernel in DEPTHWISE:
        layer = nn.Conv2d(channels, channels, kernel, padding=kernel // 2, groups=channels)
        layer = layer.to(memory_format=torch.channels_last)
        maps = torch.rand(2 * args.pairs, channels, edge_px, edge_px).to(memory_format=torch.channels_last)
        maps.requires_grad_()
        forward = ratio(lambda layer=layer, maps=maps: layer(maps), repeats=args.repeats)
        step = ratio(lambda layer=layer, maps=maps: layer(maps).float().sum().backward(), repeats=args.repeats)
        name = f"depthwise {kernel}x{kernel}, {channels} channels, {edge_px}x{edge_px}"
        print(f"{name}: fp32 / bf16 time: forward {forward:.2f}, step {step:.2f}")


def ratio(work: Callable[[], object], *, repeats: int) -> float:
    """Return the median of time in fp32 over time in bf16; a first turn of each is not counted."""
    return statistics.median([timed(work, bf16=False) / timed(work, bf16=True) for _ in range(repeats + 1)][1:])


def timed(work: Callable[[], object], *, bf16: bool) -> float:
    """Return CPU seconds of this process, which other processes do not lengthen."""
    began_s = time.process_time()
    with torch.autocast("cpu", dtype=torch.bfloat16, enabled=bf16):
        work()
    return time.process_time() - began_s


@torch.no_grad()
def look(net: BilateralTwoViewNet, left: Tensor, right: Tensor) -> None:
    """Segment both breasts."""
    net.forward_pair(left, right)


def descend(net: BilateralTwoViewNet, left: Tensor, right: Tensor) -> None:
    """Compute the gradient of a stand-in for the loss."""
    net.zero_grad()
    net(left, right, classify=False).mask_logits.float().square().mean().backward()


if __name__ == "__main__":
    main()
