"""Error x time of the dense CRF's backends.

python benchmarks/crf.py                    one CPU core, about a minute; pydensecrf where the extra is installed
python benchmarks/crf.py --device cuda      the grid's times on a GPU, in batches of 16

Errors are the largest difference to exact mean field in any pixel, over PARAMETERS x IMAGES x three draws. Times are
of a typical map, two masses an image, and of the worst, where no pixel is negligible; medians, at the default
parameters.
"""

import argparse
import importlib.util
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from numpy.typing import ArrayLike
from torch import Tensor

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from system.refine import CrfParams, dense_crf

PARAMETERS = {
    "safe default": CrfParams(),
    "README of pydensecrf": CrfParams(position_sigma_px=80, intensity_sigma=13, appearance_weight=10),
    "scaled to 128 px wide": CrfParams().scaled(0.16),
    "strong appearance": CrfParams(position_sigma_px=15, intensity_sigma=10, appearance_weight=6),
}
EXACT_HEIGHT_PX, EXACT_WIDTH_PX = 64, 72
NUM_DRAWS = 3
TARGET_ERROR, TARGET_RATIO, TARGET_GPU_MS = 0.03, 1.5, 3.0
Picture = tuple[Tensor, Tensor]
"""Maps [B, H, W], 0 to 1, and images [B, H, W], 0 to 255."""


def blobs(rng: np.random.Generator, *, height: int, width: int, num_images: int) -> Picture:
    """Return maps with two blobs each, and smooth images in which the blobs are brighter."""
    y, x = np.mgrid[:height, :width]
    maps, images = [], []
    for _ in range(num_images):
        radius = min(height, width) / 16
        centres = [
            np.hypot(y - height * rng.uniform(0.25, 0.75), x - width * rng.uniform(0.25, 0.75)) / radius
            for _ in range(2)
        ]
        near = np.exp(-(np.minimum(*centres) ** 2) / 2)
        texture = 40 * np.sin(y / height * 9) * np.cos(x / width * 7) + rng.normal(0, 8, (height, width))
        images.append(90 + texture + 60 * near)
        maps.append(0.9 * near + rng.normal(0, 0.05, (height, width)) * (near > 0.05))
    return _tensors(maps, images)


def edges(rng: np.random.Generator, *, height: int, width: int, num_images: int) -> Picture:
    """Return maps that pass from 0 to 0.95 beside an edge of the image."""
    y, x = np.mgrid[:height, :width]
    maps, images = [], []
    for _ in range(num_images):
        turn = rng.uniform(0, np.pi)
        distance = np.cos(turn) * (x - width / 2) + np.sin(turn) * (y - height / 2)
        images.append(np.where(distance > rng.uniform(-8, 8), 180, 60) + rng.normal(0, 5, (height, width)))
        maps.append(0.95 / (1 + np.exp(-(distance + rng.uniform(-6, 6)) / rng.uniform(1, 5))))
    return _tensors(maps, images)


def noise(rng: np.random.Generator, *, height: int, width: int, num_images: int) -> Picture:
    """Return maps and images of which every pixel is drawn alone: the hardest case, and the worst in time."""
    shape = (num_images, height, width)
    return _tensors(rng.uniform(0, 1, shape), rng.uniform(0, 255, shape))


IMAGES: dict[str, Callable[..., Picture]] = {"blobs": blobs, "edges": edges, "noise": noise}


def _tensors(maps: ArrayLike, images: ArrayLike) -> Picture:
    prob, image = np.clip(maps, 0, 1), np.clip(images, 0, 255)
    return torch.from_numpy(prob.astype(np.float32)), torch.from_numpy(image.astype(np.float32))


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", choices=["cpu", "cuda"], default="cpu")
    device = parser.parse_args().device
    if device == "cuda":
        print_gpu_times()
        return
    torch.set_num_threads(1)
    others = ["pydensecrf"] if importlib.util.find_spec("pydensecrf") else []
    print_errors(["grid", *others])
    print_times(["grid", *others])
    if not others:
        print("pydensecrf is not installed: pip install 'mammoloop[pydensecrf]'")


def print_errors(backends: list[str]) -> None:
    """Print the largest error of each backend for each kind of image and each set of parameters."""
    drawn = f"{NUM_DRAWS} draws of images of {EXACT_HEIGHT_PX} x {EXACT_WIDTH_PX} px"
    print(f"largest error against exact mean field, {drawn}")
    worst = dict.fromkeys(backends, 0.0)
    for kind, draw in IMAGES.items():
        for name, params in PARAMETERS.items():
            prob, image = draw(
                np.random.default_rng(0), height=EXACT_HEIGHT_PX, width=EXACT_WIDTH_PX, num_images=NUM_DRAWS
            )
            exact = dense_crf(prob, image, params, backend="exact")
            errors = {
                backend: (dense_crf(prob, image, params, backend=backend) - exact).abs().max().item()
                for backend in backends
            }
            worst = {backend: max(worst[backend], error) for backend, error in errors.items()}
            print(f"  {kind:6} {name:24}" + "".join(f"{backend} {error:.4f}  " for backend, error in errors.items()))
    print(
        "  all"
        + " " * 28
        + "".join(f"{backend} {error:.4f}  " for backend, error in worst.items())
        + f"(target for grid {TARGET_ERROR})"
    )


def print_times(backends: list[str]) -> None:
    """Print ms an image on one thread."""
    print("ms an image, one thread")
    prob, image = blobs(np.random.default_rng(0), height=EXACT_HEIGHT_PX, width=EXACT_WIDTH_PX, num_images=4)
    print(
        f"  {EXACT_HEIGHT_PX} x {EXACT_WIDTH_PX}, typical      exact {milliseconds(prob, image, backend='exact'):8.1f}"
    )
    for kind, draw in (("typical", blobs), ("worst", noise)):
        for height, width, num_images in ((160, 128, 16), (1024, 800, 2)):
            prob, image = draw(np.random.default_rng(1), height=height, width=width, num_images=num_images)
            times = {backend: milliseconds(prob, image, backend=backend) for backend in backends}
            ratio = (
                f"grid / pydensecrf {times['grid'] / times['pydensecrf']:.2f} (target {TARGET_RATIO})"
                if "pydensecrf" in times
                else ""
            )
            print(
                f"  {height} x {width}, {kind}".ljust(24)
                + "  ".join(f"{name} {ms:8.1f}" for name, ms in times.items())
                + f"  {ratio}"
            )


def print_gpu_times() -> None:
    """Print ms an image in batches of 16 at 1024 x 800."""
    if not torch.cuda.is_available():
        raise SystemExit("there is no GPU here: run without --device cuda")
    for kind, draw in (("typical", blobs), ("worst", noise)):
        prob, image = (part.cuda() for part in draw(np.random.default_rng(1), height=1024, width=800, num_images=16))
        print(
            f"{torch.cuda.get_device_name()}, 16 x 1024 x 800, {kind}: "
            f"grid {milliseconds(prob, image, backend='grid'):.2f} ms an image "
            f"(target {TARGET_GPU_MS} for a typical map), {torch.cuda.max_memory_allocated() / 1024**2:.0f} MiB at most"
        )


def milliseconds(prob: Tensor, image: Tensor, *, backend: str) -> float:
    """Return the time of one image at the default parameters: the median of five after a warm-up."""
    times = []
    for _ in range(6):
        start = time.perf_counter()
        dense_crf(prob, image, CrfParams(), backend=backend)
        if prob.is_cuda:
            torch.cuda.synchronize()
        times.append(time.perf_counter() - start)
    return 1000 * statistics.median(times[1:]) / len(prob)


if __name__ == "__main__":
    main()
