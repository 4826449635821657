"""Print error x time of the dense CRF's backends: `python benchmarks/crf.py`, under 20 s on one core."""

import importlib.util
import sys
import time
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from system.refine import CrfParams, dense_crf

PARAMETERS = {
    "safe default": CrfParams(),
    "README of pydensecrf": CrfParams(position_sigma_px=80, intensity_sigma=13, appearance_weight=10),
    "scaled to 128 px wide": CrfParams().scaled(0.16),
    "strong appearance": CrfParams(position_sigma_px=15, intensity_sigma=10, appearance_weight=6),
}
TIMED = [(160, 128, 16), (1024, 800, 2)]  # height px, width px, images


def picture(rng: np.random.Generator, *, height: int, width: int, num_images: int) -> tuple[Tensor, Tensor]:
    """Return maps [B, H, W] with two blobs each and smooth images [B, H, W], 0 to 255, in which the blobs are brighter."""
    y, x = np.mgrid[:height, :width]
    maps, images = [], []
    for _ in range(num_images):
        radius = min(height, width) / 16
        blobs = [np.hypot(y - height * rng.uniform(0.25, 0.75), x - width * rng.uniform(0.25, 0.75)) / radius for _ in range(2)]
        near = np.exp(-(np.minimum(*blobs) ** 2) / 2)
        texture = 40 * np.sin(y / height * 9) * np.cos(x / width * 7) + rng.normal(0, 8, (height, width))
        images.append(np.clip(90 + texture + 60 * near, 0, 255))
        maps.append(np.clip(0.9 * near + rng.normal(0, 0.05, (height, width)) * (near > 0.05), 0, 1))
    return torch.tensor(np.stack(maps), dtype=torch.float32), torch.tensor(np.stack(images), dtype=torch.float32)


def milliseconds(prob: Tensor, image: Tensor, *, backend: str) -> float:
    """Return the time of one image at the default parameters, best of three."""
    best = float("inf")
    for _ in range(3):
        start = time.perf_counter()
        dense_crf(prob, image, CrfParams(), backend=backend)
        best = min(best, time.perf_counter() - start)
    return 1000 * best / len(prob)


def main() -> None:
    """Print both tables."""
    torch.set_num_threads(1)
    fast = ["grid", *(["pydensecrf"] if importlib.util.find_spec("pydensecrf") else [])]
    prob, image = picture(np.random.default_rng(0), height=64, width=72, num_images=4)
    print("largest error against exact mean field, 4 images of 64 x 72")
    for name, params in PARAMETERS.items():
        exact = dense_crf(prob, image, params, backend="exact")
        errors = {backend: (dense_crf(prob, image, params, backend=backend) - exact).abs().max().item() for backend in fast}
        print(f"  {name:24}" + "".join(f"{backend} {error:.4f}  " for backend, error in errors.items()))
    print("ms an image, one thread, two blobs an image")
    print(f"  64 x 72      exact {milliseconds(prob, image, backend='exact'):8.1f}  grid {milliseconds(prob, image, backend='grid'):8.1f}")
    for height, width, num_images in TIMED:
        prob, image = picture(np.random.default_rng(1), height=height, width=width, num_images=num_images)
        print(f"  {height} x {width:4}  " + "  ".join(f"{backend} {milliseconds(prob, image, backend=backend):8.1f}" for backend in fast))


if __name__ == "__main__":
    main()
